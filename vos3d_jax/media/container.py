"""Video files opened so that a stranger's file can do no harm, and the stream in them that a player shows.

FFmpeg reads hundreds of formats, some of which open other files or addresses. Here it gets a list of
containers and decoders that are in use and much tested, one local file, and a limit on the picture's size.
"""

import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import av
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from vos3d_jax.errors import UserError
from vos3d_jax.media.reading import MOST_PIXELS

# FFmpeg's names. Left out on purpose: concat, hls, dash, image2 and others that open further files, and bare
# streams (.h264), whose pictures have no time stamps by which a missing one could be noticed.
CONTAINERS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,flv,ogg,asf,gif,apng"
DECODERS = frozenset(
    "h264 hevc libdav1d vp8 vp9 mpeg4 mpeg2video mpeg1video mjpeg ffv1 huffyuv ffvhuff utvideo prores dnxhd "
    "dvvideo theora vc1 wmv1 wmv2 wmv3 msmpeg4 msmpeg4v2 h263 flv gif apng png qtrle rawvideo".split()
)
# What a small file says of its pictures' size may need much memory: no real video of 4K is below 32 kB.
_PIXELS_PER_BYTE, _ALWAYS_PIXELS = 256, 2**21
# Of an mp4's tables: bytes of each sample, 0 where they are listed, and samples; or samples of a fragment.
_SAMPLES = re.compile(b"stsz....(....)(....)|trun....(....)", re.DOTALL)
# Boxes that hold others, those with words, in which FFmpeg looks for no other, and how more of these begin.
_NESTED = b"moov trak mdia minf stbl moof traf udta ilst edts mvex dinf sinf schi tref wave".split()
_WORDS = b"data ---- uuid XMP_ hdlr name desc ldes titl dscp cprt auth perf albm gnre kywd".split()
_BEGIN_WORDS = b"\xa9\0"
_MOST_BOXES, _MOST_READ = 100_000, 1 << 26
_ENOUGH_PACKETS = 1000  # to tell a still from a video
_READ = "mp4, mov, mkv, webm, avi, mpg, ts, flv, ogv, wmv and gif are read"
_MEND = "make one that is read: ffmpeg -i FILE out.mp4"
_NOT_THE_VIDEO = Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.dependent


@contextmanager
def open_video(path: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Gives the container and the stream that a player would show, with its decoder prepared.

    Raises:
        UserError: it is no video that is read here, has nothing but a cover picture, or frames that are too
            large; also for whatever FFmpeg finds while the file is open.
    """
    if not path.is_file():
        raise UserError(f"{path} is no file: give a video file, a folder of frames, or a .npy/.npz file")
    with path.open("rb") as file:
        head = file.read(8)
    if not head:
        raise UserError(f"{path} is an empty file: fetch it again")
    opened = False
    try:
        _check_samples(path)
        most = min(MOST_PIXELS, max(_ALWAYS_PIXELS, _PIXELS_PER_BYTE * path.stat().st_size))
        limits = {"max_pixels": str(most), "codec_whitelist": ",".join(sorted(DECODERS))}
        options = {**limits, "format_whitelist": CONTAINERS, "protocol_whitelist": "file"}
        with (
            errors_of("IMGUTILS") as complaints,
            av.open(local_name(path), options=options, metadata_errors="replace") as container,
        ):
            index = shown_stream(path, container)
        with av.open(local_name(path), options=options, metadata_errors="replace") as container:
            stream = container.streams[index]
            _check(path, stream, most, complaints)
            context = stream.codec_context
            context.options = limits
            # One thread, so that an error belongs to the packet that is decoded.
            context.thread_type, context.thread_count = "NONE", 1
            context.copy_opaque = True
            opened = True
            yield container, stream
    except (av.FFmpegError, OSError) as error:
        reason = getattr(error, "strerror", None) or error
        if opened:
            raise UserError(f"{path} is damaged ({reason}): fetch or make it again") from error
        if head.endswith(b"ftyp"):
            raise UserError(
                f"{path} is an mp4 whose index is missing or damaged ({reason}), as after a download or a"
                " recording that was cut: fetch or make it again"
            ) from error
        if isinstance(error, av.ArgumentError):
            reason = "it is of another kind"
        raise UserError(
            f"{path} cannot be decoded as a video ({reason}): {_READ}; give a video that plays, or {_MEND}"
        ) from error


def local_name(path: Path) -> str:
    """Returns what FFmpeg takes for this file; of a bare "12:30.mp4" it takes "12" for a protocol.

    Raises:
        UserError: the name is not UTF-8, which FFmpeg needs.
    """
    try:
        path.absolute().as_posix().encode()
    except UnicodeEncodeError:
        raise UserError(
            f"{ascii(str(path))} is not UTF-8, which videos need: rename the file or folder"
        ) from None
    return f"file:{path.absolute()}"


def shown_stream(path: Path, container: InputContainer) -> int:
    """Returns the index of the video stream that a player would show.

    It is no cover picture, no thumbnail and no tile of a picture. Of several it is the one that FFmpeg calls
    best, unless that is a still and another is not; then the one with most frames. To see that, the container
    is read: open it anew.

    Raises:
        UserError: there is none.
    """
    streams = [stream for stream in container.streams.video if not stream.disposition & _NOT_THE_VIDEO]
    if not streams:
        what = "nothing but a cover picture" if container.streams.video else "no video"
        raise UserError(f"{path} has {what} in it: give a file with a video stream")
    best = container.streams.best("video")
    if len(streams) == 1:
        return streams[0].index
    packets = islice(container.demux(streams), _ENOUGH_PACKETS)
    counts = Counter(packet.stream_index for packet in packets if packet.size)
    if best in streams and counts[best.index] > 1:
        return best.index
    return max(streams, key=lambda stream: counts[stream.index]).index


def _check_samples(path: Path) -> None:
    """Refuses an mp4 that says it has more data than the file: FFmpeg takes memory for what is said."""
    size = path.stat().st_size
    for content in _boxes(path):
        for table in _SAMPLES.finditer(content):
            each, listed, run = (int.from_bytes(number or b"", "big") for number in table.groups())
            if max(each, 1) * (listed or run) > size:
                frames = f"{listed or run} frames of {each or 'some'} bytes in a file of {size}"
                raise UserError(f"{path} says {frames}: fetch it again")


def _boxes(path: Path) -> Iterator[bytes]:
    """The boxes in an mp4 in which there may be tables of samples (ISO 14496-12, 4.2), as FFmpeg walks them.

    That is all in `moov` and `moof` but words: "trunk" in a title is no `trun`. A box that is longer than the
    one that holds it ends with that; one too short ends it.
    """
    at, ends = 0, [path.stat().st_size]
    with path.open("rb") as file:
        for _ in range(_MOST_BOXES):
            while at + 8 > ends[-1]:
                at = ends.pop()
                if not ends:
                    return
            file.seek(at)
            head = file.read(20)
            length, name, content = int.from_bytes(head[:4], "big"), head[4:8], at + 8
            if length == 1:
                length, content = int.from_bytes(head[8:16], "big"), at + 16
            end = min(at + length, ends[-1]) if length >= content - at else ends[-1]
            known = name in _NESTED
            if name == b"meta" and length != 1 and b"hdlr" in (head[12:16], head[16:20]):
                known, content = True, content + head.index(b"hdlr", 12) - 12  # QuickTime's 0, ISO's 4
            if known:
                ends.append(end)
                at = content
            else:
                inside = len(ends) > 1 or name == b"meta"
                if inside and name[0] not in _BEGIN_WORDS and name not in _WORDS:
                    file.seek(at)
                    yield file.read(min(end - at, _MOST_READ))
                at = end


def _check(path: Path, stream: VideoStream, most: int, complaints: list[str]) -> None:
    codec = stream.codec_context and stream.codec_context.codec.name
    if codec not in DECODERS:
        raise UserError(f"{path} has a video of the codec {codec or 'unknown'}, which is not read: {_MEND}")
    height, width = stream.height, stream.width
    if not height and complaints or height * width > most:  # 0 after FFmpeg refused it
        size = f"{width}x{height}" if height else complaints[0].partition(",")[0]
        small = ", too large for so small a file" if most < MOST_PIXELS else ""
        raise UserError(
            f"{path} has too large pictures ({size}; at most {most} pixels{small}): make them smaller: "
            "ffmpeg -i FILE -vf scale=1920:-2 out.mp4"
        )


@contextmanager
def errors_of(part: str) -> Iterator[list[str]]:
    """Collects what FFmpeg's `part` says about errors in the block: some damage it tells in no other way."""
    complaints: list[str] = []
    level, skip = av.logging.get_level(), av.logging.get_skip_repeated()
    av.logging.set_level(av.logging.ERROR)
    av.logging.set_skip_repeated(False)
    try:
        with av.logging.Capture() as logs:
            yield complaints
    finally:
        av.logging.set_level(level)
        av.logging.set_skip_repeated(skip)
        complaints[:0] = [text.strip() for _, name, text in logs if name == part]
