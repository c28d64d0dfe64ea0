"""What goes into a predictor and what comes out of it, a frame at a time.

A frame is uint8 RGB [height, width, 3], in anything that numpy takes for an array, or a picture of Pillow,
which says itself how its colours are meant. All else could be meant in more than one way (a float picture
may be 0..1 or 0..255, a grey one a mask), so that it is refused with the line that makes a frame of it.
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float32, UInt8
from PIL import Image

from vos3d_jax.errors import UserError
from vos3d_jax.media.frames import open_frames
from vos3d_jax.media.images import rgb

_FRAME = "a frame is uint8 RGB [height, width, 3]"


@dataclass(frozen=True)
class Frame:
    """What a predictor says about frame `index`, at the frame's own size.

    `mask` holds ids, 0 is background. `probability` is that of the foreground, or of every id where there are
    more than one and background; it is resized bilinearly, the mask by nearest neighbour, so at borders the
    mask is not quite `probability > 0.5` where the network's size differs from the frame's.
    """

    index: int
    mask: UInt8[np.ndarray, "h w"]
    probability: Float32[np.ndarray, "h w"] | Float32[np.ndarray, "h w ids"]

    @property
    def foreground(self) -> Float32[np.ndarray, "h w"]:
        """The probability of any id but background."""
        return self.probability if self.probability.ndim == 2 else 1 - self.probability[..., 0]


class GivenFrame(NamedTuple):
    """A frame as a predictor gets it: its number, its picture, and its mask of ids where one is given."""

    index: int
    pixels: UInt8[np.ndarray, "h w 3"]
    ids: UInt8[np.ndarray, "h w"] | None


def given_frames(video: Any, masks: Mapping[int, Any], first: int = 0) -> Iterator[GivenFrame]:
    """Returns the frames of a path (as the command's `--input`), of an array [time, h, w, 3] or an iterable.

    Args:
        video: the frames.
        masks: those that are given, by the indices of their frames.
        first: the index of the first frame.

    Raises:
        UserError: `video` can be no video; while iterating: a frame can be no frame, is not of the first
            one's size, or there is none at all; a mask is not uint8 [height, width] of that size, or the
            video has ended before its frame.
    """
    if isinstance(video, str | os.PathLike):
        video = open_frames(Path(video)).read()
    shape = getattr(video, "shape", ())
    if isinstance(video, Image.Image) or len(shape) == 2 or (len(shape) == 3 and shape[-1] in (3, 4)):
        raise UserError("this is one picture, and a video is a sequence of them: give [frame]")
    if not isinstance(video, Iterable):
        raise UserError(
            f"{type(video).__name__} is no video: give a path, an array [time, height, width, 3], or an "
            "iterable of frames"
        )
    return _given_frames(video, masks, first)


def _given_frames(video: Iterable[Any], masks: Mapping[int, Any], first: int) -> Iterator[GivenFrame]:
    size, index = None, first - 1
    for index, frame in enumerate(video, first):
        pixels = frame_of(index, frame)
        size = size or pixels.shape[:2]
        if pixels.shape[:2] != size:
            raise UserError(
                f"frame {index} is {pixels.shape[1]}x{pixels.shape[0]} but those before are "
                f"{size[1]}x{size[0]}: give a video of one size, or cut it where the size changes"
            )
        ids = np.asarray(masks[index]) if index in masks else None
        if ids is not None and (ids.dtype != np.uint8 or ids.shape != size):
            raise UserError(
                f"the mask given for frame {index} is {ids.dtype} {list(ids.shape)}: give ids, uint8 "
                f"{list(size)} as the frame"
            )
        yield GivenFrame(index, pixels, ids)
    if index < 0:  # after those of an earlier run there may be none
        raise UserError("the video has no frames: give one that has")
    if others := [one for one in masks if one not in range(first, index + 1)]:
        raise UserError(
            f"a mask is given for frame {others[0]!r}, and frames are {first} to {index}: leave it out"
        )


def frame_of(index: int, frame: Any) -> UInt8[np.ndarray, "h w 3"]:
    """Returns frame `index` of a video as an array; UserError with the mend where it can be no frame."""
    if isinstance(frame, str | os.PathLike):
        raise UserError(
            f"frame {index} is a file name, {os.fspath(frame)!r}: give the folder of the frames, or "
            "load them, as with `PIL.Image.open`"
        )
    if isinstance(frame, Image.Image):
        return rgb(frame, f"frame {index}")
    try:
        array = np.asarray(frame)
    except (TypeError, ValueError, RuntimeError) as error:  # lists of unequal length, tensors of a GPU
        raise UserError(f"frame {index} gives no array ({error}): {_FRAME}, in the host's memory") from error
    if array.dtype == np.uint8 and array.ndim == 3 and array.shape[2] == 3 and array.size:
        return array
    raise UserError(f"frame {index} is {array.dtype} {list(array.shape)}, and {_FRAME}: give {_mend(array)}")


def _mend(array: np.ndarray) -> str:
    first, last = (array.shape[0], array.shape[-1]) if array.ndim else (0, 0)
    if array.ndim == 2 and last == 3:
        return "a list of pictures; this is a row of one"
    if array.ndim == 2:
        return "`np.stack([frame] * 3, axis=-1)` if it is a grey picture"
    if array.ndim == 4:
        return "its pictures one by one; this is a whole clip"
    if array.ndim == 3 and last not in (1, 3, 4) and first in (1, 3, 4):
        return "`np.moveaxis(frame, 0, -1)`, which puts the colours last"
    if array.ndim == 3 and last == 1:
        return "`np.repeat(frame, 3, axis=-1)`"
    if array.ndim == 3 and last == 4:
        return "`frame[..., :3]`, without the transparency"
    if array.ndim != 3 or last != 3 or not array.size:
        return "the pixels of a picture"
    if np.issubdtype(array.dtype, np.floating):
        scale = "frame" if array.max() > 1 else "255 * frame"
        return f"`np.round({scale}).astype(np.uint8)`"
    return "`frame.astype(np.uint8)` if its values are 0 to 255"
