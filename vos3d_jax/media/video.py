"""Frames out of video files, one at a time."""

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from vos3d_jax.errors import UserError


def probe_video(path: Path) -> tuple[int | None, Fraction | None]:
    """Returns how many frames a video says that it has, and its frames per second; None where it is silent.

    Raises:
        UserError: it cannot be decoded.
    """
    with _video_stream(path) as (_, stream):
        # 0 where the container does not say it (mkv, webm).
        rate = stream.average_rate  # a type of PyAV's own since version 19
        return stream.frames or None, rate and Fraction(rate.numerator, rate.denominator)


def read_video(path: Path) -> Iterator[np.ndarray]:
    """Yields the frames of a video, uint8 RGB [h, w, 3]; raises `UserError` where it is damaged."""
    with _video_stream(path) as (container, stream):
        stream.thread_type = "AUTO"
        for frame in container.decode(stream):
            array = frame.to_ndarray(format="rgb24")
            # Telephones store upright pictures lying; the angle is counterclockwise.
            yield np.ascontiguousarray(np.rot90(array, frame.rotation // 90)) if frame.rotation else array


@contextmanager
def _video_stream(path: Path) -> Iterator[tuple]:
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise UserError(f"{path} has no video in it: give a file with a video stream")
            yield container, container.streams.video[0]
    except (av.error.FFmpegError, OSError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(
            f"{path} cannot be decoded as a video ({reason}): give a video that plays, a folder of frames, "
            "or a .npy/.npz file"
        ) from error
