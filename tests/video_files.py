"""Small video files for tests, made with FFmpeg's encoders."""

import os
from contextlib import contextmanager
from fractions import Fraction

import av
import numpy as np

os.environ.setdefault("SVT_LOG", "1")  # errors only

# suffix and encoder: pixel format, options. A key frame every six frames where the codec has others.
FORMS = {
    ("mp4", "libx264"): ("yuv420p", {"g": "6", "bf": "2"}),
    ("mov", "libx264"): ("yuv420p", {"g": "6", "bf": "2"}),
    ("mkv", "libx264"): ("yuv420p", {"g": "6", "bf": "2"}),
    ("avi", "libx264"): ("yuv420p", {"g": "6", "bf": "2"}),
    ("ts", "libx264"): ("yuv420p", {"g": "6", "bf": "2"}),
    ("flv", "libx264"): ("yuv420p", {"g": "6", "bf": "2"}),
    ("mp4", "libx265"): ("yuv420p", {"x265-params": "log-level=none:keyint=6:bframes=2:pools=1"}),
    ("mkv", "libx265"): ("yuv420p", {"x265-params": "log-level=none:keyint=6:bframes=2:pools=1"}),
    ("avi", "mpeg4"): ("yuv420p", {"g": "6", "bf": "2"}),
    ("mp4", "mpeg4"): ("yuv420p", {"g": "6", "bf": "2"}),
    ("mpg", "mpeg1video"): ("yuv420p", {"g": "6"}),
    ("mpg", "mpeg2video"): ("yuv420p", {"g": "6", "bf": "2"}),
    ("mov", "mjpeg"): ("yuvj420p", {}),
    ("avi", "mjpeg"): ("yuvj420p", {}),
    ("webm", "libvpx"): ("yuv420p", {"g": "6", "auto-alt-ref": "1", "lag-in-frames": "16"}),
    ("webm", "libvpx-vp9"): ("yuv420p", {"g": "6", "lag-in-frames": "16"}),
    ("mp4", "libsvtav1"): ("yuv420p", {"g": "6", "preset": "12", "svtav1-params": "lp=1"}),
    ("mkv", "ffv1"): ("yuv420p", {"g": "6"}),
    ("avi", "ffv1"): ("yuv420p", {}),
    ("avi", "huffyuv"): ("yuv422p", {}),
    ("avi", "utvideo"): ("yuv420p", {}),
    ("avi", "rawvideo"): ("yuv420p", {}),
    ("mov", "prores_ks"): ("yuv422p10le", {}),
    ("mov", "qtrle"): ("rgb24", {}),
    ("mov", "png"): ("rgb24", {}),
    ("asf", "wmv2"): ("yuv420p", {}),
    ("avi", "msmpeg4v2"): ("yuv420p", {}),
    ("avi", "msmpeg4"): ("yuv420p", {}),
    ("flv", "flv"): ("yuv420p", {}),
    ("gif", "gif"): ("rgb8", {}),
    ("apng", "apng"): ("rgb24", {}),
}


def numbered_frames(length, height=48, width=64):  # libx265 crashes at 48x32
    """Frames whose brightness tells their number: 10 more for each, with an edge so that flips are seen."""
    frames = np.zeros((length, height, width, 3), np.uint8)
    frames += (10 * np.arange(length, dtype=np.uint8) + 10)[:, None, None, None]
    frames[:, : height // 4, : width // 4] = 250
    return frames


@contextmanager
def _usual_priority():
    """SVT-AV1 gives a process of root real-time priority, which would starve all others for good."""
    policy, parameters = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        yield
    finally:
        os.sched_setscheduler(0, policy, parameters)


def write_video(path, frames, codec="libx264", rate=24, times=None, tick=None, pixel_aspect=None, **options):
    """Writes the frames; `times` are in `tick`s of a second where they are not those of the rate."""
    pixel_format, encoder_options = FORMS.get((path.suffix[1:], codec), ("yuv420p", {}))
    with _usual_priority(), av.open(str(path), "w", container_options=options) as container:
        stream = container.add_stream(codec, rate=rate)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt, stream.options = pixel_format, encoder_options
        if tick:
            stream.codec_context.time_base = tick
        if pixel_aspect:
            stream.codec_context.sample_aspect_ratio = Fraction(pixel_aspect)
        for number, frame in enumerate(frames):
            picture = av.VideoFrame.from_ndarray(frame, format="rgb24")
            if times:
                picture.pts, picture.time_base = times[number], tick
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
    return path


def spoil(path, *which):
    """Overwrites the data of packets, counted in the order of the file; the container stays as it is."""
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(container.streams.video[0]) if packet.size]
        places = [(packet.pos, bytes(packet)) for packet in packets]
    data = bytearray(path.read_bytes())
    for number in which:
        at, content = places[number]
        if path.suffix == ".ts":  # in pieces of 188 bytes, all of which are overwritten
            size = places[number + 1][0] - at
        else:
            at, size = data.index(content, at), len(content)
        data[at : at + size] = (b"\xff\x00" * size)[:size]
    path.write_bytes(data)
    return path
