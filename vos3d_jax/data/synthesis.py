"""Training clips made from a single picture (3DC-Seg, section 4.2, by the released code's rule).

Frame t+1 is made from frame t, so the motion compounds, and so does the blur of the interpolation. All
warps are maps of our own given to `cv2.remap`: `cv2.warpAffine` differs between OpenCV 4 and 5.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

Range = tuple[float, float]


@dataclass(frozen=True)
class Synthesis:
    """Ranges from which each step from one frame to the next is drawn; the defaults are the published ones.

    Attributes:
        scale: factor of width and of height, drawn independently.
        translation: shift, as a share of the width and of the height.
        rotation: degrees.
        shear: degrees (the published range is practically none).
        elastic: probability of an elastic deformation.
        elastic_strength: pixels by which its smoothed noise is multiplied.
        elastic_sigma: pixels, the deviation of the Gaussian that smooths the noise.
        blur: probability of a Gaussian blur of the picture.
        blur_sigma: pixels.
    """

    scale: Range = (0.7, 1.3)
    translation: Range = (-0.1, 0.1)
    rotation: Range = (-15.0, 15.0)
    shear: Range = (-0.05, 0.05)
    elastic: float = 0.05
    elastic_strength: Range = (200.0, 220.0)
    elastic_sigma: Range = (17.0, 19.0)
    blur: float = 0.05
    blur_sigma: Range = (0.0, 0.5)


def synthesise(
    settings: Synthesis,
    frame: UInt8[np.ndarray, "h w 3"],
    mask: UInt8[np.ndarray, "h w"],
    clip_length: int,
    rng: np.random.Generator,
) -> tuple[UInt8[np.ndarray, "t h w 3"], UInt8[np.ndarray, "t h w"]]:
    """Returns a clip whose first frame is the picture, with the mask (ids) that moves along."""
    frames, masks = [frame], [mask]
    for _ in range(clip_length - 1):
        frame, mask = _step(settings, frame, mask, rng)
        frames.append(frame)
        masks.append(mask)
    return np.stack(frames), np.stack(masks)


def affine_map(
    size: tuple[int, int],
    scale: tuple[float, float] = (1.0, 1.0),
    translation: tuple[float, float] = (0.0, 0.0),
    rotation: float = 0.0,
    shear: float = 0.0,
) -> tuple[Float32[np.ndarray, "h w"], Float32[np.ndarray, "h w"]]:
    """Returns where each pixel of the moved picture comes from: the source column and row of every pixel.

    The picture is sheared, scaled and rotated (degrees; clockwise on the screen) about its centre, then
    shifted by `translation` (x, y) in pixels; `scale` is (x, y).
    """
    turn, slant = np.deg2rad(rotation), np.deg2rad(rotation + shear)
    forward = np.array([[np.cos(turn), -np.sin(slant)], [np.sin(turn), np.cos(slant)]]) * scale
    back = np.linalg.inv(forward)
    centre = np.array([(size[1] - 1) / 2, (size[0] - 1) / 2])
    constant = centre - back @ (centre + translation)
    x, y = np.arange(size[1]), np.arange(size[0])[:, None]
    return tuple(
        (row[0] * x + row[1] * y + c).astype(np.float32) for row, c in zip(back, constant, strict=True)
    )


def elastic_map(
    size: tuple[int, int], strength: float, sigma: float, rng: np.random.Generator
) -> tuple[Float32[np.ndarray, "h w"], Float32[np.ndarray, "h w"]]:
    """Returns where each pixel of a picture deformed by smoothed noise is from: source column and row."""
    x, y = np.meshgrid(np.arange(size[1]), np.arange(size[0]))
    noise = rng.uniform(-1, 1, (2, *size)).astype(np.float32)
    shift_x, shift_y = (strength * cv2.GaussianBlur(n, (0, 0), sigma) for n in noise)
    return (x + shift_x).astype(np.float32), (y + shift_y).astype(np.float32)


def _step(settings: Synthesis, frame, mask, rng: np.random.Generator):
    size = mask.shape
    elastic_first = rng.uniform() < 0.5
    elastic = rng.uniform() < settings.elastic
    affine = affine_map(
        size,
        scale=tuple(rng.uniform(*settings.scale, 2)),
        translation=tuple(rng.uniform(*settings.translation, 2) * (size[1], size[0])),
        rotation=rng.uniform(*settings.rotation),
        shear=rng.uniform(*settings.shear),
    )
    blur, sigma = rng.uniform() < settings.blur, rng.uniform(*settings.blur_sigma)
    if elastic and elastic_first:
        frame, mask = _deform(settings, frame, mask, rng)
    frame = cv2.remap(frame, *affine, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    mask = cv2.remap(mask, *affine, cv2.INTER_NEAREST, borderMode=cv2.BORDER_CONSTANT, borderValue=0)
    if elastic and not elastic_first:
        frame, mask = _deform(settings, frame, mask, rng)
    if blur and sigma > 0:
        frame = cv2.GaussianBlur(frame, (0, 0), sigma)
    return frame, mask


def _deform(settings: Synthesis, frame, mask, rng: np.random.Generator):
    place = elastic_map(
        mask.shape, rng.uniform(*settings.elastic_strength), rng.uniform(*settings.elastic_sigma), rng
    )
    nearest = {"interpolation": cv2.INTER_NEAREST, "borderMode": cv2.BORDER_CONSTANT, "borderValue": 0}
    return cv2.remap(frame, *place, **nearest), cv2.remap(mask, *place, **nearest)
