"""Frames out of video files, one at a time, each in its place even where others cannot be decoded."""

from collections.abc import Iterator
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
from vos3d_jax.media.container import errors_of, open_video
from vos3d_jax.media.images import resize_bilinear
from vos3d_jax.media.reading import Picture

_REORDERED = 16  # frames that a decoder may hold back to sort them, at most (H.264, HEVC)
_MOST_FILLED = 1000  # frames for the holes that a damaged container leaves
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


@dataclass(eq=False)
class _Sent:
    """A packet on its way through the decoder, later its picture; `why` is what was said against it."""

    number: int
    stamp: int | None
    failed: bool = False
    why: str = ""
    frame: av.VideoFrame | None = None


class _Decoding:
    """The pictures of a stream in display order, with one place for every packet that should have one.

    Every packet takes its number through the decoder. As long as all is well, pictures are given as
    they come. (A packet without one had none to show: an alternative reference of VP8, or what stands before
    the first key frame.) After an error, until a key frame is good again, decoders also drop or misplace the
    pictures that build on the lost one: then they are sorted here, and what does not come has an empty place.
    """

    def __init__(self, path: Path, container: InputContainer, stream: VideoStream):
        self._path, self._container, self._stream = path, container, stream
        self._tick = _fraction(stream.time_base)  # seconds
        self._rate = _fraction(stream.average_rate) or _GUESSED_RATE
        self._packets = 0  # that were read
        self._waiting: dict[int, _Sent] = {}  # in the decoder
        self._arrived: list[_Sent] = []  # out of it, and not given yet
        # AVI has no time stamps. FFmpeg sorts those it gives MPEG-4; H.264's all have one delay, unsorted.
        self._delays: set[int] = set()
        self._damaged: int | None = None  # the last packet with an error, until a later key frame is good
        self._lacking = False  # whether data were lost since, on which later pictures may build
        self._torn: int | None = None  # the last packet with an error, around which others may be missing
        self._torn_why = ""
        self._filled = 0  # frames that the container has lost
        self._first: int | None = None  # time stamps
        self._latest: int | None = None
        self._angle: int | None = None  # of the latest picture's display matrix
        self._turn = _QUARTERS[0]
        self._stored_aspect = self._aspect = _fraction(stream.sample_aspect_ratio) or Fraction(1)

    def pictures(self) -> Iterator[Picture]:
        """Yields them all."""
        packets = self._container.demux(self._stream)
        while True:
            with errors_of(self._container.format.name) as complaints:
                try:
                    packet = next(packets, None)
                except IndexError:  # a stream that begins later, of which PyAV does not know
                    packets = self._container.demux(self._stream)
                    continue
            if complaints:
                self._damaged = self._torn = self._packets
                self._lacking, self._torn_why = True, complaints[0]
            if packet is None:
                break
            if packet.size:
                self._decode(packet)
                yield from self._settled()
        self._decode(None)
        yield from self._settled(end=True)
        if (frames := self._stream.frames) > self._packets:
            ends = f"says that it has {frames} frames, and ends after {self._packets}"
            raise UserError(f"{self._path} {ends}: fetch it again")
        if self._torn_why:
            raise UserError(f"{self._path} is damaged at its end ({self._torn_why}); frames may be missing")

    def _decode(self, packet: av.Packet | None) -> None:
        sent = _Sent(self._packets, packet and packet.pts)
        if packet:
            self._packets += 1
            if len(self._delays) < 2 and None not in (packet.pts, packet.dts):
                self._delays.add(packet.pts - packet.dts)
            # PyAV knows it by its address until the frame is freed: a new object, which holds no frame.
            packet.opaque = [sent.number]
            if not packet.is_discard:
                self._waiting[sent.number] = sent
            if packet.is_corrupt:
                self._damaged = self._torn = sent.number
                self._lacking, sent.why = True, "its data are damaged"
        frames = []
        with errors_of(self._stream.codec_context.name) as complaints:
            try:
                frames = self._stream.codec_context.decode(packet)
            except (av.FFmpegError, ValueError) as error:
                self._damaged, self._lacking, sent.failed = sent.number, True, True
                sent.why = getattr(error, "strerror", None) or str(error)
        if complaints:
            self._damaged, self._torn, sent.why = sent.number, sent.number, complaints[-1]
        for frame in frames:
            origin = self._waiting.pop(frame.opaque[0], None) if frame.opaque else None
            if origin:  # else its place was given away
                origin.frame, origin.stamp = frame, frame.pts
                self._arrived.append(origin)

    def _settled(self, end: bool = False) -> Iterator[Picture]:
        """Yields what has its place now."""
        while self._damaged is not None:
            lost = [sent for sent in self._waiting.values() if end or self._is_lost(sent)]
            for sent in lost:
                if not (self._lacking or sent.why):  # it had nothing to show
                    del self._waiting[sent.number]
            ready = [sent for sent in lost if sent.number in self._waiting] + self._arrived
            if not ready:
                return
            first = ready[0]
            if self._in_order():
                first = min([*self._waiting.values(), *self._arrived], key=_place)
                if first not in ready:  # it may still come
                    return
            yield from self._placed(first)
            if first.frame and first.frame.key_frame and first.number > self._damaged:
                self._damaged, self._lacking = None, False
        for sent in self._arrived[:]:
            yield from self._placed(sent)
        for number in [number for number in self._waiting if number < self._packets - _REORDERED]:
            del self._waiting[number]

    def _is_lost(self, sent: _Sent) -> bool:
        """Whether no picture will come of a packet."""
        return (
            sent.failed
            or sent.number < self._packets - _REORDERED
            or any(
                later.frame.key_frame and later.number > sent.number and _place(later) > _place(sent)
                for later in self._arrived
            )
        )

    def _in_order(self) -> bool:
        """Whether time stamps tell the order in which pictures are shown."""
        sorts = self._stream.codec_context.has_b_frames
        return self._container.format.name != "avi" or not sorts or len(self._delays) > 1

    def _placed(self, sent: _Sent) -> Iterator[Picture]:
        """The picture of a packet, and before it those that are missing where the container is damaged."""
        if sent.frame:
            self._arrived.remove(sent)
            pixels, said = self._pixels(sent.frame)
            if self._lacking and sent.number > self._damaged and not sent.frame.key_frame:
                said = said or sent.why or "it may build on a frame that could not be decoded"
        else:
            del self._waiting[sent.number]
            pixels, said = None, sent.why or "it builds on a frame that could not be decoded"
        stamp = sent.stamp if self._in_order() else None
        if self._torn is not None and abs(sent.number - self._torn) <= _REORDERED:
            missing = self._missing_before(stamp)
            self._filled += missing
            for place in range(1, missing + 1):
                at = self._time(self._latest) + place / self._rate
                yield Picture(None, at, f"the file is damaged here ({self._torn_why or 'data are lost'})")
            if not missing and sent.number >= self._torn and self._torn_why:
                said = said or f"the file is damaged before it ({self._torn_why}); frames may be missing"
            if missing or sent.number >= self._torn:
                self._torn_why = ""
        if stamp is not None:
            self._first = stamp if self._first is None else self._first
            self._latest = stamp
        yield Picture(pixels, self._time(stamp), said or sent.why, self._aspect)

    def _missing_before(self, stamp: int | None) -> int:
        """Frames for which there is room since the latest one, in containers that do not count theirs."""
        if stamp is None or self._latest is None or self._stream.frames:
            return 0
        steps = (stamp - self._latest) * self._tick * self._rate
        missing = round(steps) - 1
        even = abs(steps - round(steps)) <= Fraction(1, 4)
        return missing if even and 0 < missing <= _MOST_FILLED - self._filled else 0

    def _pixels(self, frame: av.VideoFrame) -> tuple[np.ndarray | None, str]:
        """The picture of a decoded frame, upright, or None and why not; and what is to be said of it."""
        try:
            stored = frame.to_ndarray(format="rgb24")
        except (av.FFmpegError, ValueError) as error:
            return None, getattr(error, "strerror", None) or str(error)
        said = ""
        if frame.rotation != self._angle:
            self._angle = frame.rotation
            self._turn = _turn(frame)
            if abs((self._angle + 45) % 90 - 45) > 1:
                said = f"is turned by {self._angle} degrees: shown at the nearest quarter turn"
        swapped, rows, columns = self._turn
        self._aspect = 1 / self._stored_aspect if swapped else self._stored_aspect
        turned = np.swapaxes(stored, 0, 1) if swapped else stored
        return np.ascontiguousarray(turned[::rows, ::columns]), said

    def _time(self, stamp: int | None) -> Fraction | None:
        return None if stamp is None else (stamp - self._first) * self._tick


def _turn(frame: av.VideoFrame) -> tuple[bool, int, int]:
    """How a frame is to be turned, as `upright`; it stays in memory with its side data until a gc."""
    try:
        matrix = frame.side_data.get(Type.DISPLAYMATRIX)
        return upright(np.frombuffer(matrix, np.uint8)) if matrix else _QUARTERS[0]
    except ValueError:  # PyAV does not know all side data (the EXIF of JPEG); it does know the angle
        return _QUARTERS[round(frame.rotation / 90) % 4]


def _place(sent: _Sent) -> tuple[int, int]:
    return sent.number if sent.stamp is None else sent.stamp, sent.number


def _fraction(number) -> Fraction | None:
    """A number of PyAV, whose type is its own since version 19; 0 is nothing."""
    return Fraction(number.numerator, number.denominator) if number else None
