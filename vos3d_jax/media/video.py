"""Frames out of video files, one at a time, each in its place even where others cannot be decoded."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from av.sidedata.sidedata import Type
from av.video.stream import VideoStream
from jaxtyping import UInt8

from vos3d_jax.errors import UserError
from vos3d_jax.media.container import open_video
from vos3d_jax.media.images import resize_bilinear
from vos3d_jax.media.reading import Picture

_REORDERED = 16  # frames that a decoder may hold back to sort them, at most (H.264, HEVC)
_LONGEST_HOLE = 1000  # frames
_QUARTERS = ((False, 1, 1), (True, -1, 1), (False, -1, -1), (True, 1, -1))  # counterclockwise, as `upright`
_GUESSED_RATE = Fraction(25)  # FFmpeg's, for streams that have none


def probe_video(path: Path) -> tuple[int | None, Fraction | None]:
    """Returns how many frames a video says that it has, and its frames per second; None where it is silent.

    Raises:
        UserError: as `open_video`.
    """
    with open_video(path) as (_, stream):
        return stream.frames or None, _fraction(stream.average_rate)


def read_video(path: Path) -> Iterator[Picture]:
    """Yields the frames of a video in the order in which they are shown, upright, at the first one's size.

    A frame that the decoder cannot make is yielded without pixels, at its place and time; so are those that
    are missing where a damaged container leaves a hole in even time stamps. Frames of another size than the
    first one's are scaled to it, as `ffmpeg` does, which is told.

    Raises:
        UserError: as `open_video`; and at the end, if the file says that it has more frames.
    """
    with open_video(path) as (container, stream):
        first = latest = None
        for picture in _Decoding(path, container, stream).pictures():
            if picture.pixels is not None:
                size = picture.pixels.shape[:2]
                first = first or size
                if size != first:
                    scaled = f"{size[1]}x{size[0]}, scaled to the first frame's {first[1]}x{first[0]}"
                    said = picture.said or (scaled if size != latest else "")
                    picture = replace(picture, pixels=resize_bilinear(picture.pixels, first), said=said)
                latest = size
            yield picture


def upright(matrix: UInt8[np.ndarray, "36"]) -> tuple[bool, int, int]:
    """Returns how a display matrix shows a picture: (axes are swapped, step of rows, step of columns).

    It is the nearest of the eight quarter turns and mirrors. A pixel (x, y) is shown at
    (a x + c y, b x + d y), moved so that the picture starts at 0 (ISO 14496-12, 6.2.2); the picture is
    mirrored where the determinant is negative.

    Args:
        matrix: nine 32-bit numbers of this machine: a b u, c d v, x y w.
    """
    a, b, _, c, d = matrix.view(np.int32)[:5].astype(float)
    mirror = -1 if a * d - b * c < 0 else 1
    cosine, sine = a + mirror * d, b - mirror * c  # of the turn that is left without the mirror
    if abs(sine) > abs(cosine):
        step = 1 if sine > 0 else -1
        return True, step, -mirror * step
    step = -1 if cosine < 0 else 1
    return False, mirror * step, step


@dataclass
class _Sent:
    """A packet on its way through the decoder; `why` is what was said against it."""

    number: int
    stamp: int | None
    why: str = ""


class _Decoding:
    """The pictures of a stream in display order, with a place for each one that is lost.

    Every packet takes a note of its own through the decoder. It is lost when the picture of a later one
    arrives first and there is a sign of damage. Without such a sign it has no picture to show: an alternative
    reference of VP8, say, or what stands before the first key frame of HEVC.
    """

    def __init__(self, path: Path, container: InputContainer, stream: VideoStream):
        self._path, self._container, self._stream = path, container, stream
        self._tick = _fraction(stream.time_base)  # seconds
        self._rate = _fraction(stream.average_rate) or _GUESSED_RATE
        self._packets = 0  # that were read
        self._waiting: dict[int, _Sent] = {}
        # AVI has no time stamps. FFmpeg sorts those it gives MPEG-4; H.264's all have one delay, unsorted.
        self._delays: set[int] = set()
        self._damaged: int | None = None  # the last packet with an error, until a later key frame is good
        self._torn: int | None = None  # the packet before which the container is damaged
        self._torn_why = ""
        self._first: int | None = None  # time stamps
        self._latest: int | None = None
        self._matrix = b""
        self._stored_aspect = self._aspect = _fraction(stream.sample_aspect_ratio) or Fraction(1)

    def pictures(self) -> Iterator[Picture]:
        """Yields them all."""
        packets = self._container.demux(self._stream)
        while True:
            with _errors_of(self._container.format.name) as said:
                packet = next(packets, None)
            if said:
                self._torn, self._torn_why = self._packets, said[0]
            if packet is None:
                break
            if packet.size:
                yield from self._decode(packet)
        yield from self._decode(None)
        if self._damaged is not None:
            yield from self._lost(list(self._waiting.values()))
        said, found = self._stream.frames, self._packets
        if said > found:
            raise UserError(f"{self._path} says that it has {said} frames, and ends after {found}")
        if self._torn_why:
            raise UserError(f"{self._path} is damaged at its end ({self._torn_why}); frames may be missing")

    def _decode(self, packet: av.Packet | None) -> Iterator[Picture]:
        sent = _Sent(self._packets, packet and packet.pts)
        if packet:
            self._packets += 1
            if len(self._delays) < 2 and None not in (packet.pts, packet.dts):
                self._delays.add(packet.pts - packet.dts)
            packet.opaque = sent
            if not packet.is_discard:
                self._waiting[sent.number] = sent
            if packet.is_corrupt:
                self._torn, sent.why = sent.number, "its data are damaged"
        frames = []
        with _errors_of(self._stream.codec_context.name) as said:
            try:
                frames = self._stream.codec_context.decode(packet)
            except (av.FFmpegError, ValueError) as error:
                self._damaged = sent.number
                said.append(getattr(error, "strerror", None) or str(error))
        if said:
            sent.why = said[-1]
        for frame in frames:
            yield from self._arrived(frame)

    def _arrived(self, frame: av.VideoFrame) -> Iterator[Picture]:
        sent = frame.opaque or _Sent(self._packets, frame.pts)
        stamp = frame.pts if self._in_order() else None
        if self._damaged is not None:
            earlier = [other for other in self._waiting.values() if _before(other, sent.number, stamp)]
            yield from self._lost(sorted(earlier, key=lambda other: (other.stamp or 0, other.number)))
            if frame.key_frame and sent.number > self._damaged:
                self._damaged = None
        self._waiting.pop(sent.number, None)
        for number in [number for number in self._waiting if number < sent.number - 2 * _REORDERED]:
            del self._waiting[number]
        yield from self._placed(sent, stamp, *self._pixels(frame))

    def _lost(self, lost: list[_Sent]) -> Iterator[Picture]:
        for sent in lost:
            del self._waiting[sent.number]
            why = sent.why or "a frame that it builds on is lost"
            yield from self._placed(sent, sent.stamp if self._in_order() else None, None, why)

    def _in_order(self) -> bool:
        """Whether time stamps tell the order in which pictures are shown."""
        sorts = self._stream.codec_context.has_b_frames
        return self._container.format.name != "avi" or not sorts or len(self._delays) > 1

    def _placed(
        self, sent: _Sent, stamp: int | None, pixels: np.ndarray | None, said: str
    ) -> Iterator[Picture]:
        """The picture, and before it those that are missing where the container is damaged."""
        if self._torn is not None and abs(sent.number - self._torn) <= _REORDERED:
            steps = Fraction(1)
            if stamp is not None and self._latest is not None:
                steps = (stamp - self._latest) * self._tick * self._rate
            missing = round(steps) - 1
            even = abs(steps - round(steps)) <= Fraction(1, 4)
            if even and 0 < missing <= _LONGEST_HOLE:
                for place in range(1, missing + 1):
                    at = self._time(self._latest) + place / self._rate
                    yield Picture(None, at, f"the file is damaged here ({self._torn_why or 'data are lost'})")
                self._torn_why = ""
            elif sent.number >= self._torn and self._torn_why:
                said = said or f"the file is damaged before it ({self._torn_why}); frames may be missing"
                self._torn_why = ""
        if stamp is not None:
            self._first = stamp if self._first is None else self._first
            self._latest = stamp
        yield Picture(pixels, self._time(stamp), said or sent.why, self._aspect)

    def _pixels(self, frame: av.VideoFrame) -> tuple[np.ndarray | None, str]:
        """The picture of a decoded frame, upright, or None and why not; and what is to be said of it."""
        try:
            stored = frame.to_ndarray(format="rgb24")
        except (av.FFmpegError, ValueError) as error:
            return None, getattr(error, "strerror", None) or str(error)
        said = ""
        try:
            matrix = bytes(frame.side_data.get(Type.DISPLAYMATRIX) or b"")
            swapped, rows, columns = upright(np.frombuffer(matrix, np.uint8)) if matrix else _QUARTERS[0]
            if matrix != self._matrix and abs((frame.rotation + 45) % 90 - 45) > 1:
                said = f"is turned by {frame.rotation} degrees: shown at the nearest quarter turn"
            self._matrix = matrix
        except ValueError:  # PyAV does not know all side data (the EXIF of JPEG); it does know the angle
            swapped, rows, columns = _QUARTERS[round(frame.rotation / 90) % 4]
        self._aspect = 1 / self._stored_aspect if swapped else self._stored_aspect
        turned = np.swapaxes(stored, 0, 1) if swapped else stored
        return np.ascontiguousarray(turned[::rows, ::columns]), said

    def _time(self, stamp: int | None) -> Fraction | None:
        return None if stamp is None else (stamp - self._first) * self._tick


def _before(sent: _Sent, number: int, stamp: int | None) -> bool:
    if stamp is None or sent.stamp is None:
        return sent.number < number - _REORDERED
    return sent.stamp < stamp


@contextmanager
def _errors_of(part: str) -> Iterator[list[str]]:
    """Collects what FFmpeg's `part` says about errors in the block: some damage it tells in no other way."""
    found: list[str] = []
    level, skip = av.logging.get_level(), av.logging.get_skip_repeated()
    av.logging.set_level(av.logging.ERROR)
    av.logging.set_skip_repeated(False)
    try:
        with av.logging.Capture() as logs:
            yield found
    finally:
        av.logging.set_level(level)
        av.logging.set_skip_repeated(skip)
        found[:0] = [text.strip() for _, name, text in logs if name == part]


def _fraction(number) -> Fraction | None:
    """A number of PyAV, whose type is its own since version 19; 0 is nothing."""
    return Fraction(number.numerator, number.denominator) if number else None
