"""Frames out of video files, folders of pictures and array files, one at a time; videos into files.

Nothing here holds more than a few frames: arrays are read as a stream and not mapped, because mapped
pages count as memory of the process. Nothing in a file is executed (no pickles).
Facts about PyAV: platform-notes section 9.
"""

import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from io import BufferedIOBase
from pathlib import Path
from types import TracebackType

import av
import numpy as np
from jaxtyping import UInt8

from vos3d_jax.errors import UserError
from vos3d_jax.media.images import natural_order, read_image

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".ppm", ".tif", ".tiff", ".webp")
DEFAULT_RATE = Fraction(24)  # frames per second of what has none: the rate of DAVIS


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
        files = _picture_files(path)
        length, names = len(files), tuple(file.stem for file in files)

        def read() -> Iterator[np.ndarray]:
            return map(read_image, files)

    elif path.suffix.lower() in (".npy", ".npz"):
        length = _array_length(path)

        def read() -> Iterator[np.ndarray]:
            return _read_array(path)

    else:
        length, rate = _probe_video(path)

        def read() -> Iterator[np.ndarray]:
            return _read_video(path)

    first = next(read(), None)
    if first is None:
        raise UserError(f"{path} has no frames: give a video with at least one")
    # A folder given as "." or "..", too, has a name of its own.
    name = path.resolve().name if path.is_dir() else path.stem
    return Frames(path, name, first.shape[:2], length, rate, names, read)


class VideoWriter:
    """Writes uint8 RGB frames [h, w, 3] to an mp4 (H.264) that appears under its name only when complete.

    Use it as a context manager; an exception inside leaves nothing behind. Odd heights and widths, which
    the format does not have, are filled by repeating the last row or column.
    """

    def __init__(self, path: str | Path, rate: Fraction | float | int = DEFAULT_RATE):
        self.path = Path(path)
        self._partial = self.path.with_name(f".{self.path.name}.partial")
        self._rate = Fraction(rate).limit_denominator(1001)
        self._size: tuple[int, int] | None = None

    def __enter__(self) -> "VideoWriter":
        # The container is told its format because the temporary name does not end in .mp4.
        self._container = av.open(str(self._partial), "w", format="mp4")
        return self

    def write(self, frame: UInt8[np.ndarray, "h w 3"]) -> None:
        """Appends a frame; all frames have one size."""
        if self._size is None:
            self._size = frame.shape[:2]
            self._stream = self._container.add_stream("libx264", rate=self._rate)
            self._stream.height, self._stream.width = (side + side % 2 for side in self._size)
            self._stream.pix_fmt = "yuv420p"
            self._stream.options = {"preset": "veryfast", "crf": "18"}
        if frame.shape[:2] != self._size:
            raise ValueError(f"a frame is {frame.shape[:2]} but the first was {self._size}")
        height, width = self._size
        even = np.pad(frame, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
        self._container.mux(self._stream.encode(av.VideoFrame.from_ndarray(even, format="rgb24")))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        complete = False
        try:
            if kind is None and self._size is not None:
                self._container.mux(self._stream.encode())
                complete = True
        finally:
            self._container.close()
            if complete:
                self._partial.replace(self.path)
            else:
                self._partial.unlink(missing_ok=True)


def _picture_files(folder: Path) -> list[Path]:
    found = [p for p in folder.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES and not p.name.startswith(".")]
    if not found:
        raise UserError(
            f"{folder} holds no pictures ({', '.join(IMAGE_SUFFIXES)}): give the folder that holds the "
            "frames of one video"
        )
    files = sorted(found, key=lambda file: natural_order(file.name))
    [(stem, count)] = Counter(file.stem for file in files).most_common(1)
    if count > 1:
        raise UserError(f"{folder} holds {count} pictures named {stem}: keep one file for each frame")
    return files


def _probe_video(path: Path) -> tuple[int | None, Fraction | None]:
    with _video_stream(path) as (_, stream):
        # 0 where the container does not say it (mkv, webm).
        rate = stream.average_rate  # a type of PyAV's own since version 19
        return stream.frames or None, rate and Fraction(rate.numerator, rate.denominator)


def _read_video(path: Path) -> Iterator[np.ndarray]:
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


def _array_length(path: Path) -> int:
    with _array_stream(path) as (_, shape):
        return shape[0]


def _read_array(path: Path) -> Iterator[np.ndarray]:
    with _array_stream(path) as (stream, (length, *size)):
        for index in range(length):
            data = stream.read(int(np.prod(size)))
            if len(data) != np.prod(size):
                raise UserError(f"{path} ends within frame {index} of {length}: save it again")
            yield np.frombuffer(data, np.uint8).reshape(size)


@contextmanager
def _array_stream(path: Path) -> Iterator[tuple[BufferedIOBase, tuple[int, ...]]]:
    try:
        if path.suffix.lower() == ".npy":
            with path.open("rb") as stream:
                yield stream, _array_shape(path, stream)
        else:
            with zipfile.ZipFile(path) as archive:
                members = archive.namelist()
                if len(members) != 1:
                    raise UserError(
                        f"{path} holds {len(members)} arrays: save one, uint8 [time, height, width, 3]"
                    )
                with archive.open(members[0]) as stream:
                    yield stream, _array_shape(path, stream)
    except (OSError, EOFError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        raise UserError(f"{path} is not a readable array file ({error}): save it again with numpy") from error


def _array_shape(path: Path, stream: BufferedIOBase) -> tuple[int, ...]:
    version = np.lib.format.read_magic(stream)
    header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran_order, dtype = header(stream)
    if dtype != np.uint8 or len(shape) != 4 or shape[3] != 3 or 0 in shape[1:]:
        raise UserError(f"{path} holds {dtype} {list(shape)}: save uint8 RGB frames [time, height, width, 3]")
    if fortran_order:
        raise UserError(f"{path} is in Fortran order: save numpy.ascontiguousarray of it")
    return shape
