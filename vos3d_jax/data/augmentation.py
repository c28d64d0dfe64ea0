"""From frames of any size to training clips of one size: resize, crop, flip, colour, pad.

Resizing, padding and the published crop are those of 3DC-Seg's released code. What the released code does not
do (one crop for the whole clip, flip, scale and colour jitter) is ours. `prepare` is deterministic, so its
result can be cached; `augment` draws from the generator it is given.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import UInt8

from vos3d_jax.constants import VOID
from vos3d_jax.errors import UserError
from vos3d_jax.media.images import resize_bilinear, short_edge_size
from vos3d_jax.media.masks import resize_mask_nearest

CROPS = ("clip", "published")


@dataclass(frozen=True)
class Augmentation:
    """How clips are cut from frames.

    Attributes:
        short_edge: the frames' short edge is resized to this many pixels; None leaves them.
        crop: "clip": one random place for the whole clip. "published": the released code's, a place of
            its own for *every frame* (so the crop itself shakes), the slip in its left border, and
            stretching of frames that are too small.
        crop_size: (height, width) cut from the frame before padding; None: the output size. The released
            code cuts 480x854 and pads to 480x864.
        scale: range of a random factor by which the clip is enlarged; 1 means pixels as they are.
        flip: probability of a horizontal flip of the whole clip.
        colour: strength s of a colour change of the whole clip: brightness, contrast and saturation are
            multiplied by factors from 1 - s to 1 + s.
    """

    short_edge: int | None = 480
    crop: str = "clip"
    crop_size: tuple[int, int] | None = None
    scale: tuple[float, float] = (1.0, 1.0)
    flip: float = 0.0
    colour: float = 0.0

    def __post_init__(self):
        if self.crop not in CROPS:
            raise UserError(f"crop {self.crop!r} is unknown: choose one of {', '.join(CROPS)}")
        if not 0 < self.scale[0] <= self.scale[1]:
            raise UserError(f"scale is {self.scale}: expected (low, high) with 0 < low <= high")
        if not 0 <= self.colour < 1:
            raise UserError(f"colour is {self.colour}: expected 0 to below 1")

    def resized(self, size: tuple[int, int]) -> tuple[int, int]:
        """Returns the (height, width) that a frame of `size` has before it is cut."""
        return size if self.short_edge is None else short_edge_size(size, self.short_edge)


def prepare(
    settings: Augmentation, frame: UInt8[np.ndarray, "h w 3"], mask: UInt8[np.ndarray, "h w"]
) -> tuple[UInt8[np.ndarray, "h2 w2 3"], UInt8[np.ndarray, "h2 w2"]]:
    """Returns the frame and its mask, resized to the short edge of the settings."""
    size = settings.resized(mask.shape)
    return resize_bilinear(frame, size), resize_mask_nearest(mask, size)


def augment(
    settings: Augmentation,
    frames: list[np.ndarray],
    masks: list[np.ndarray],
    size: tuple[int, int],
    rng: np.random.Generator,
) -> tuple[UInt8[np.ndarray, "t h w 3"], UInt8[np.ndarray, "t h w"]]:
    """Returns a clip of exactly `size` (height, width) of prepared frames [h, w, 3] and masks [h, w] of ids.

    Frames smaller than the crop are surrounded by black (0) and background, as the published padding does:
    floor(missing / 2) above and on the left. A mask that is all void (a frame without one) stays so, and says
    nothing of where the objects are.

    Raises:
        UserError: the crop size is larger than the output.
    """
    crop_size = tuple(settings.crop_size or size)
    if crop_size[0] > size[0] or crop_size[1] > size[1]:
        raise UserError(f"crop_size {crop_size} does not fit in the output size {size}: make it smaller")
    published = settings.crop == "published"
    factor = float(rng.uniform(*settings.scale))
    flipped = bool(rng.uniform() < settings.flip)
    colours = _colour_matrix(settings.colour, rng)
    cut = (max(1, round(crop_size[0] / factor)), max(1, round(crop_size[1] / factor)))
    full = masks[0].shape
    if published:
        places = [crop_place(_box(mask), full, cut, rng, slip=True) for mask in masks]
    else:
        known = [mask for mask in masks if mask.min() != VOID] or masks
        places = [crop_place(_box(np.max(known, 0)), full, cut, rng)] * len(masks)
    part = tuple(min(c, f) for c, f in zip(cut, full, strict=True))
    filled = crop_size if published or part == cut else tuple(max(1, round(p * factor)) for p in part)
    filled = tuple(min(f, c) for f, c in zip(filled, crop_size, strict=True))
    clip = np.zeros((len(frames), *size, 3), np.uint8)
    clip_mask = np.stack([np.full(size, VOID if mask.min() == VOID else 0, np.uint8) for mask in masks])
    y, x = ((outer - inner) // 2 for outer, inner in zip(size, filled, strict=True))
    for time, (frame, mask, (top, left)) in enumerate(zip(frames, masks, places, strict=True)):
        resize = resize_bilinear if published else _resize_quickly
        frame = resize(frame[top : top + cut[0], left : left + cut[1]], filled)
        mask = resize_mask_nearest(mask[top : top + cut[0], left : left + cut[1]], filled)
        if colours is not None:
            frame = cv2.transform(frame, colours)
        step = -1 if flipped else 1
        clip[time, y : y + filled[0], x : x + filled[1]] = frame[:, ::step]
        clip_mask[time, y : y + filled[0], x : x + filled[1]] = mask[:, ::step]
    return clip, clip_mask


def crop_place(
    objects: tuple[int, int, int, int] | None,
    size: tuple[int, int],
    crop_size: tuple[int, int],
    rng: np.random.Generator,
    slip: bool = False,
) -> tuple[int, int]:
    """Returns a random (top, left) for a crop that keeps the objects in as far as possible.

    Args:
        objects: the box (top, bottom, left, right), last row and column included, or None: anywhere.
        size: (height, width) of the frame.
        crop_size: (height, width) of the crop.
        rng: where the place is drawn from.
        slip: the released code takes the largest column for the objects' left border too, so that it
            may cut them off on the left.
    """
    if objects is None:
        objects = (0, size[0] - 1, 0, size[1] - 1)
    top, bottom, left, right = objects
    if slip:
        left = right
    return tuple(
        _offset(first, last, full, part, rng)
        for first, last, full, part in zip((top, left), (bottom, right), size, crop_size, strict=True)
    )


def _offset(first: int, last: int, full: int, part: int, rng: np.random.Generator) -> int:
    """Between the offsets that hold both ends of the objects, or, where they are too long, only objects."""
    bounds = sorted((last + 1 - part, first))
    low, high = (min(max(bound, 0), max(full - part, 0)) for bound in bounds)
    return int(rng.integers(low, high + 1))


def _box(mask: np.ndarray) -> tuple[int, int, int, int] | None:
    """The box (top, bottom, left, right) around all ids of a mask, or None when there is no object."""
    left, top, width, height = cv2.boundingRect(mask)
    return (top, top + height - 1, left, left + width - 1) if width else None


def _resize_quickly(frame: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    if frame.shape[:2] == size:
        return frame
    method = cv2.INTER_AREA if size[0] < frame.shape[0] else cv2.INTER_LINEAR
    return cv2.resize(frame, (size[1], size[0]), interpolation=method)


def _colour_matrix(strength: float, rng: np.random.Generator) -> np.ndarray | None:
    """[3, 4]: saturation about the grey value, contrast about mid-grey, brightness; None: no change."""
    brightness, contrast, saturation = rng.uniform(1 - strength, 1 + strength, 3)
    if strength == 0:
        return None
    grey = np.tile([0.299, 0.587, 0.114], (3, 1))
    matrix = brightness * contrast * (saturation * np.eye(3) + (1 - saturation) * grey)
    return np.hstack([matrix, np.full((3, 1), brightness * 127.5 * (1 - contrast))])
