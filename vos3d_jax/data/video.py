"""A video with its masks, wherever they come from: what every reader gives and every consumer takes."""

import functools
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from vos3d_jax.media.encodings import Meaning


@dataclass(frozen=True)
class Video:
    """Frames and masks of one sequence, read one at a time, so that a long video costs no memory.

    Both readers can be pickled (worker processes of the pipeline) and are called with an index 0..length-1.

    Attributes:
        name: what results, tables and folders call it.
        length: number of frames, at least 1.
        read_frame: index -> RGB, uint8 [h, w, 3].
        read_mask: index -> ids, uint8 [h, w]: 0 is background, 1.. are objects, 255 is void (neither object
            nor background, ignored by losses and metrics). None where the frame has no mask.
        size: (height, width) of every frame and mask.
        frame_names: one a frame, the stem of its file ("00000"); results are written under these names.
        annotated: indices of the frames that have a mask, in order, where a reader knows them from the files'
            names; None where only `read_mask` can tell.
        frames_known: the names are those of all frames; otherwise of those that have a mask, and there may be
            others.
        meaning: tells what the values of the masks' files mean, where a reader has to decide it (all masks
            are read for that, once, unless it is given what another process has found); None where the data
            set's own rule says it.
        label: the action that it shows; None where the data set names none.
        files: what frames and masks are read from, in order; empty where they are generated.
    """

    name: str
    length: int
    read_frame: Callable[[int], UInt8[np.ndarray, "h w 3"]]
    read_mask: Callable[[int], UInt8[np.ndarray, "h w"] | None]
    size: tuple[int, int]
    frame_names: tuple[str, ...]
    annotated: tuple[int, ...] | None = None
    frames_known: bool = True
    meaning: Callable[..., Meaning] | None = None
    label: str | None = None
    files: tuple[Path, ...] = ()


def annotated(video: Video) -> tuple[int, ...]:
    """Returns the indices of the frames that have a mask, in order."""
    if video.annotated is not None:
        return video.annotated
    return tuple(index for index in range(video.length) if video.read_mask(index) is not None)


def excerpt(video: Video, first: int, count: int) -> Video:
    """Returns the `count` frames of the video from frame `first` on, as a video of the same name."""
    known = video.annotated
    return replace(
        video,
        length=count,
        read_frame=functools.partial(_later, video.read_frame, first),
        read_mask=functools.partial(_later, video.read_mask, first),
        frame_names=video.frame_names[first : first + count],
        annotated=known and tuple(index - first for index in known if first <= index < first + count),
    )


def _later(read: Callable[[int], np.ndarray | None], first: int, index: int) -> np.ndarray | None:
    return read(first + index)
