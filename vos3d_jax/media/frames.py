"""Frames out of video files, folders of pictures and array files, one at a time."""

import logging
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path

import numpy as np

from vos3d_jax.errors import UserError
from vos3d_jax.media.arrays import array_length, read_array
from vos3d_jax.media.decoding import probe_video, read_video
from vos3d_jax.media.folders import FRAMES, IMAGE_SUFFIXES, frames_folder, picture_files, read_pictures
from vos3d_jax.media.reading import Picture, Reading

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Frames:
    """A video that can be read from its first frame as often as wanted.

    `size` is (height, width) of the first frame; `length` is None where the file does not say it; `rate`
    is in frames per second, None where there is none; `files` are the pictures of a folder, and no others.
    `pictures()` yields the frames as they come, those that cannot be decoded among them. `note` is what
    there is besides them, in words, or None.
    """

    path: Path
    name: str
    size: tuple[int, int]
    length: int | None
    rate: Fraction | None
    files: tuple[Path, ...] | None
    pictures: Callable[[], Iterator[Picture]]
    note: str | None = None

    def frame_name(self, index: int) -> str:
        """Returns the stem under which results of frame `index` are written: "00012" unless it has one."""
        return self.files[index].stem if self.files else f"{index:05d}"

    def reading(self, bad_frames: str = "repeat", tell: Callable[[str], None] = _log.warning) -> Reading:
        """Returns a pass over the frames by which it is told what could not be read; see `Reading`."""
        if self.note:
            tell(f"{self.path}: {self.note}")
        return Reading(str(self.path), self.pictures(), self.length, bad_frames, tell)

    def read(self) -> Iterator[np.ndarray]:
        """Yields uint8 RGB [h, w, 3]; what cannot be decoded is repeated, and logged as a warning."""
        reading = self.reading()
        for _, picture in reading:
            yield picture.pixels
        if summary := reading.summary():
            _log.warning("%s: %s", self.path, summary)


def open_frames(path: str | Path) -> Frames:
    """Returns the frames of a video file, a folder of pictures, or a .npy/.npz file of [t, h, w, 3] uint8.

    It is read up to the first frame that can be decoded. A folder without pictures that holds a folder
    `frames` stands for that one, and a folder called `frames` has the name of the one that it is in, as in
    the layout VIDEOS/<video>/frames of a training.

    Raises:
        UserError: nothing there, no pictures, none that can be decoded, or an array of another kind.
    """
    path = Path(path)
    if not path.exists():
        raise UserError(f"{path} does not exist: give a video file, a folder of frames, or a .npy/.npz file")
    length, rate, files, note = None, None, None, None
    if path.is_dir():
        path = frames_folder(path)
        names, note = picture_files(path)
        length, files = len(names), tuple(names)
        pictures = partial(read_pictures, files)
    elif path.suffix.lower() in (".npy", ".npz"):
        length = array_length(path)
        pictures = partial(read_array, path)
    else:
        try:
            length, rate = probe_video(path)
        except UserError as error:
            if path.suffix.lower() not in IMAGE_SUFFIXES:
                raise
            raise UserError(f"{path} is a picture and no video: give the folder of the frames") from error
        pictures = partial(read_video, path)
    first = next((picture.pixels for picture in pictures() if picture.pixels is not None), None)
    if first is None:
        why = next((picture.said for picture in pictures()), "it has no frames")
        raise UserError(f"no frame of {path} can be decoded ({why}): fetch or make it again")
    return Frames(path, _name(path), first.shape[:2], length, rate, files, pictures, note)


def _name(path: Path) -> str:
    if not path.is_dir():
        return path.stem
    path = Path(os.path.abspath(path))  # given as "." or "..", too, it has a name of its own
    return path.parent.name or path.name if path.name == FRAMES else path.name
