"""Frames out of video files, folders of pictures and array files, one at a time."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from vos3d_jax.errors import UserError
from vos3d_jax.media.arrays import array_length, read_array
from vos3d_jax.media.folders import picture_files
from vos3d_jax.media.images import read_image
from vos3d_jax.media.video import probe_video, read_video


@dataclass(frozen=True)
class Frames:
    """A video that can be read from its first frame as often as wanted.

    `size` is (height, width) of the first frame; `length` is None where the file does not say it; `rate`
    is in frames per second, None where there is none; `names` are the file stems of a folder's pictures.
    `read()` yields uint8 RGB [h, w, 3].
    """

    path: Path
    name: str
    size: tuple[int, int]
    length: int | None
    rate: Fraction | None
    names: tuple[str, ...] | None
    read: Callable[[], Iterator[np.ndarray]]

    def frame_name(self, index: int) -> str:
        """Returns the stem under which results of frame `index` are written: "00012" unless it has one."""
        return self.names[index] if self.names else f"{index:05d}"


def open_frames(path: str | Path) -> Frames:
    """Returns the frames of a video file, a folder of pictures, or a .npy/.npz file of [t, h, w, 3] uint8.

    The first frame is decoded to see that it can be.

    Raises:
        UserError: nothing there, no pictures, not decodable, or an array of another kind. Reading raises
            it too, where the damage comes later.
    """
    path = Path(path)
    if not path.exists():
        raise UserError(f"{path} does not exist: give a video file, a folder of frames, or a .npy/.npz file")
    length, rate, names = None, None, None
    if path.is_dir():
        files = picture_files(path)
        length, names = len(files), tuple(file.stem for file in files)

        def read() -> Iterator[np.ndarray]:
            return map(read_image, files)

    elif path.suffix.lower() in (".npy", ".npz"):
        length = array_length(path)

        def read() -> Iterator[np.ndarray]:
            return read_array(path)

    else:
        length, rate = probe_video(path)

        def read() -> Iterator[np.ndarray]:
            return read_video(path)

    first = next(read(), None)
    if first is None:
        raise UserError(f"{path} has no frames: give a video with at least one")
    # A folder given as "." or "..", too, has a name of its own.
    name = path.resolve().name if path.is_dir() else path.stem
    return Frames(path, name, first.shape[:2], length, rate, names, read)
