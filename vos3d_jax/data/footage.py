"""Frames and masks of one video, checked to belong together, as a stage of training wants them."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8

from vos3d_jax.constants import VOID
from vos3d_jax.data.video import Video
from vos3d_jax.errors import UserError

Pair = tuple[UInt8[np.ndarray, "h w 3"], UInt8[np.ndarray, "h w"]]


@dataclass(frozen=True)
class Footage:
    """What a training sample is drawn from.

    Attributes:
        video: its length and label.
        read: number of a frame -> its RGB and its mask of ids, of one size.
        clip_length: frames that a sample should have.
        size: (height, width) that its pictures should have.
    """

    video: Video
    read: Callable[[int], Pair]
    clip_length: int
    size: tuple[int, int]


def read_pair(video: Video, index: int, sparse: bool = False) -> Pair:
    """Returns frame `index` with its mask; where masks are `sparse` one that is missing is all void.

    Raises:
        UserError: one of them cannot be read, there is no mask, or their sizes differ.
    """
    name = f"{video.name} frame {video.frame_names[index]}"
    try:
        frame, mask = video.read_frame(index), video.read_mask(index)
    except (OSError, ValueError) as error:
        raise UserError(f"{name} cannot be read ({error}): mend or remove the file") from error
    if mask is None and sparse:
        return frame, np.full(frame.shape[:2], VOID, np.uint8)
    if mask is None:
        raise UserError(
            f"{name} has no mask: add it, or, where only some frames are annotated, give the data sparse=True"
        )
    if mask.shape != frame.shape[:2]:
        sizes = [f"{width}x{height}" for height, width in (mask.shape, frame.shape[:2])]
        raise UserError(
            f"{name} is {sizes[1]} but its mask is {sizes[0]}: resize the mask with nearest neighbour"
        )
    return frame, mask
