"""Videos are read as a player shows them: which stream, which way up, at which time."""

import gc
import math
import struct
from fractions import Fraction

import av
import numpy as np
import pytest
from PIL import Image
from video_files import FORMS, numbered_frames, write_video

from vos3d_jax.errors import UserError
from vos3d_jax.media.decoding import upright
from vos3d_jax.media.frames import open_frames
from vos3d_jax.media.video_writer import VideoWriter

MS = Fraction(1, 1000)


def _numbers(frames):
    """The numbers that the frames tell by their brightness."""
    return [round((float(frame[-12:, -24:].mean()) - 10) / 10) for frame in frames]


def test_a_written_video_is_read_back_with_its_size_rate_and_length(tmp_path):
    frames = numbered_frames(12)
    with VideoWriter(tmp_path / "clip.mp4", Fraction(30000, 1001)) as writer:
        for frame in frames:
            writer.write(frame)
    video = open_frames(tmp_path / "clip.mp4")
    assert (video.name, video.size, video.length) == ("clip", (48, 64), 12)
    assert video.rate == Fraction(30000, 1001) and video.files is None
    assert video.frame_name(3) == "00003"
    for _ in range(2):  # from the start as often as wanted
        read = np.stack(list(video.read()))
        assert read.shape == frames.shape and read.dtype == np.uint8
        assert np.abs(read.astype(int) - frames).mean() < 4
    assert [file.name for file in tmp_path.iterdir()] == ["clip.mp4"]


@pytest.mark.parametrize(("suffix", "codec"), FORMS, ids=map("-".join, FORMS))
def test_whole_videos_of_every_form_are_read_to_the_end_without_a_word(tmp_path, suffix, codec):
    path = write_video(tmp_path / f"clip.{suffix}", numbered_frames(13), codec)
    told = []
    reading = open_frames(path).reading(tell=told.append)
    pictures = [picture for _, picture in reading]
    assert _numbers(picture.pixels for picture in pictures) == list(range(13))
    assert reading.summary() is None and not told
    times = [picture.time for picture in pictures]
    if (suffix, codec) == ("avi", "libx264"):
        assert times == [None] * 13  # Trap: those of AVI are in the order of decoding.
    else:
        step = Fraction(1, 25 if suffix == "gif" else 24)
        assert all(abs(time - n * step) <= 20 * MS for n, time in enumerate(times))


# --- which way up


# The linear part a b c d of the display matrix: a pixel (x, y) is shown at (a x + c y, b x + d y).
def _rotation(degrees):
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return cosine, sine, -sine, cosine


MIRRORED = {
    "mirror": (-1, 0, 0, 1),
    "flip": (1, 0, 0, -1),
    "transpose": (0, 1, 1, 0),
    "other": (0, -1, -1, 0),
}
ORIENTATIONS = {**{f"{turn}": _rotation(turn) for turn in (0, 90, 180, 270)}, **MIRRORED}


def _ffmpeg_filters(a, b, c, d):
    """The filters that ffmpeg's program puts in front for such a matrix (fftools/ffmpeg_filter.c)."""
    theta = round(math.degrees(math.atan2(b / math.hypot(b, d), a / math.hypot(a, c))))
    theta -= 360 * math.floor(theta / 360 + 0.9 / 360)
    if theta == 90:
        return [("transpose", "cclock_flip" if c > 0 else "clock")]
    if theta == 270:
        return [("transpose", "clock_flip" if c < 0 else "cclock")]
    if theta == 180:
        return [("hflip", "")] * (a < 0) + [("vflip", "")] * (d < 0)
    assert theta == 0
    return [("vflip", "")] * (d < 0)


def _as_ffmpeg_shows(frame, matrix):
    graph = av.filter.Graph()
    height, width = frame.shape[:2]
    last = graph.add_buffer(width=width, height=height, format="rgb24", time_base=MS)
    for name, arguments in _ffmpeg_filters(*matrix):
        following = graph.add(name, arguments)
        last.link_to(following)
        last = following
    last.link_to(graph.add("buffersink"))
    graph.configure()
    graph.push(av.VideoFrame.from_ndarray(frame, format="rgb24"))
    return graph.pull().to_ndarray(format="rgb24")


def _turned(plain, path, matrix):
    """The mp4 with this matrix in its track header (16.16 numbers; the last column has 2.30)."""
    a, b, c, d = (round(number * (1 << 16)) for number in matrix)
    data = bytearray(plain.read_bytes())
    at = data.index(b"tkhd") + 4 + 40
    data[at : at + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("name", ORIENTATIONS)
def test_every_orientation_is_shown_as_ffmpeg_shows_it(plain, tmp_path, name):
    stored = next(open_frames(plain).read())
    video = open_frames(_turned(plain, tmp_path / "turned.mp4", ORIENTATIONS[name]))
    shown = _as_ffmpeg_shows(stored, ORIENTATIONS[name])
    assert video.size == shown.shape[:2]
    for picture, expected in zip(video.read(), [shown], strict=False):
        np.testing.assert_array_equal(picture, expected)


def test_any_angle_is_the_nearest_quarter_turn_mirrored_or_not_whatever_the_scale():
    # Trap: floor division takes an upright video at -1 degree for one at -90.
    def turn(matrix):
        a, b, c, d = (round(number * (1 << 16)) for number in matrix)
        return upright(np.array([a, b, 0, c, d, 0, 0, 0, 1 << 30], np.int32).view(np.uint8))

    for mirror in (1, -1):
        for degrees in range(-180, 361):
            if degrees % 90 == 45:
                continue
            for scale in (0.25, 1, 7):
                a, b, c, d = _rotation(degrees)
                odd = turn((scale * a, scale * b, mirror * scale * c, mirror * scale * d))
                a, b, c, d = _rotation(90 * round(degrees / 90))
                assert odd == turn((a, b, mirror * c, mirror * d)), (degrees, mirror, scale)
    assert turn((2, 0, 0, 1)) == turn((0, 0, 0, 0)) == turn((1, 0, 0, 1)) == (False, 1, 1)


def test_an_angle_that_is_no_quarter_turn_is_said(plain, tmp_path):
    told = []
    for degrees in (1, 30, 45):
        [*open_frames(_turned(plain, tmp_path / "a.mp4", _rotation(degrees))).reading(tell=told.append)]
    assert len(told) == 2 and all("nearest quarter turn" in words for words in told)


def test_the_pixels_of_a_turned_video_are_turned_too(plain, tmp_path):
    wide = write_video(tmp_path / "wide.mp4", numbered_frames(2), pixel_aspect=2)
    assert next(open_frames(wide).pictures()).pixel_aspect == 2
    turned = _turned(wide, tmp_path / "turned.mp4", _rotation(90))
    assert next(open_frames(turned).pictures()).pixel_aspect == Fraction(1, 2)


def test_a_jpeg_video_with_an_orientation_of_its_own_is_turned(tmp_path):
    # Trap: PyAV's side data raise ValueError for the EXIF that FFmpeg hands on with such frames.
    exif = Image.Exif()
    exif[0x112] = 6
    picture = np.zeros((48, 64, 3), np.uint8)
    picture[:24, :32] = 250
    Image.fromarray(picture).save(tmp_path / "a.jpg", exif=exif)
    with av.open(str(tmp_path / "a.avi"), "w") as container:
        stream = container.add_stream("mjpeg", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuvj420p"
        for number in range(2):
            packet = av.Packet((tmp_path / "a.jpg").read_bytes())
            packet.stream, packet.pts, packet.dts, packet.is_keyframe = stream, number, number, True
            container.mux(packet)
    for frame in open_frames(tmp_path / "a.avi").read():
        assert frame.shape == (64, 48, 3)
        assert np.abs(frame.astype(int) - np.rot90(picture, -1)).mean() < 4


# --- which stream


def _atom(kind, body):
    return struct.pack(">I", 8 + len(body)) + kind + body


def _with_cover_in_front(path, folder):
    """The mp4 with a cover picture before its tracks, as programs for tags write it."""
    Image.new("RGB", (40, 40), (0, 200, 0)).save(folder / "cover.jpg")
    cover = _atom(b"data", struct.pack(">II", 13, 0) + (folder / "cover.jpg").read_bytes())
    handler = _atom(b"hdlr", bytes(8) + b"mdirappl" + bytes(9))
    tags = _atom(b"udta", _atom(b"meta", bytes(4) + handler + _atom(b"ilst", _atom(b"covr", cover))))
    data = path.read_bytes()
    at = data.index(b"moov") - 4
    movie = data[at : at + int.from_bytes(data[at : at + 4], "big")]
    track = movie.index(b"trak") - 4
    path.write_bytes(data[:at] + _atom(b"moov", movie[8:track] + tags + movie[track:]))
    return path


def _cover_mp4(folder):
    return _with_cover_in_front(write_video(folder / "a.mp4", numbered_frames(8)), folder)


def _cover_mkv(folder):
    lengths, sizes = (1, 8), ((40, 40), (48, 64))
    with av.open(str(folder / "a.mkv"), "w") as container:
        streams = []
        for size in sizes:
            streams.append(container.add_stream("mpeg4", rate=24))
            streams[-1].height, streams[-1].width = size
            streams[-1].pix_fmt = "yuv420p"
        for stream, length, size in zip(streams, lengths, sizes, strict=True):
            for frame in numbered_frames(length, *size):
                container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
            container.mux(stream.encode())
    return folder / "a.mkv"


def _avif(folder):
    pictures = [Image.fromarray(frame) for frame in numbered_frames(8)]
    pictures[0].save(folder / "a.avif", save_all=True, append_images=pictures[1:], duration=40)
    return folder / "a.avif"


@pytest.mark.parametrize("make", [_cover_mp4, _cover_mkv, _avif])
def test_the_video_is_read_and_not_the_cover_or_the_still_before_it(tmp_path, make):
    video = open_frames(make(tmp_path))
    assert video.size == (48, 64)
    assert _numbers(video.read()) == list(range(8))


def _song(path):
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=48000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 48000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def test_a_song_is_refused_with_or_without_a_cover(tmp_path):
    with pytest.raises(UserError, match="song.m4a has no video in it"):
        open_frames(_song(tmp_path / "song.m4a"))
    with pytest.raises(UserError, match="song.m4a has nothing but a cover picture in it"):
        open_frames(_with_cover_in_front(tmp_path / "song.m4a", tmp_path))


# --- at which time


@pytest.mark.parametrize("suffix", ["mkv", "mp4"])
def test_frames_have_the_times_of_the_file(tmp_path, suffix):
    times = [100, 140, 180, 600, 610, 620, 2100, 2101]  # from the first frame on: 0, 40, ...
    path = write_video(tmp_path / f"a.{suffix}", numbered_frames(8), times=times, tick=MS)
    assert [picture.time for picture in open_frames(path).pictures()] == [(t - 100) * MS for t in times]


def test_frames_that_an_edit_list_hides_are_not_missed(tmp_path):
    source = write_video(tmp_path / "whole.mp4", numbered_frames(12), "mpeg4")
    with (
        av.open(str(source)) as whole,
        av.open(str(tmp_path / "a.mp4"), "w", options={"avoid_negative_ts": "disabled"}) as target,
    ):
        stream = target.add_stream_from_template(whole.streams.video[0])
        for packet in whole.demux(video=0):
            if packet.size:
                packet.pts, packet.dts, packet.stream = packet.pts - 3 * 512, packet.dts - 3 * 512, stream
                target.mux(packet)
    told = []
    reading = open_frames(tmp_path / "a.mp4").reading(tell=told.append)
    assert _numbers(picture.pixels for _, picture in reading) == list(range(3, 12))
    assert reading.summary() is None and not told


def test_what_stands_before_the_first_key_frame_is_not_missed(tmp_path):
    # Trap: a recording that begins with an open group of pictures has packets without a picture.
    source = write_video(tmp_path / "whole.mpg", numbered_frames(24), "mpeg2video")
    with av.open(str(source)) as whole, av.open(str(tmp_path / "a.mpg"), "w") as target:
        stream = target.add_stream_from_template(whole.streams.video[0])
        keys = sent = 0
        for packet in whole.demux(video=0):
            keys += bool(packet.size and packet.is_keyframe)
            if packet.size and keys > 1:
                packet.stream = stream
                target.mux(packet)
                sent += 1
    told = []
    reading = open_frames(tmp_path / "a.mpg").reading(tell=told.append)
    assert len(list(reading)) == sent - 2
    assert reading.summary() is None and not told


def test_a_sound_that_begins_late_does_not_end_the_video(tmp_path):
    # Trap: FFmpeg then finds one stream more than PyAV, whose IndexError ended it without the last frames.
    path = write_video(tmp_path / "a.flv", np.zeros((80, 48, 64, 3), np.uint8), "flv", rate=2)
    data, at, tags = path.read_bytes(), 13, []
    while at < len(data):
        tags.append(at)
        at += 15 + int.from_bytes(data[at + 1 : at + 4], "big")
    sound = struct.pack(">B3sII", 8, (101).to_bytes(3, "big"), 38_000 << 8, 0)[:11] + b"\x3e" + bytes(100)
    sound += len(sound).to_bytes(4, "big")
    path.write_bytes(data[: tags[-4]] + sound + data[tags[-4] :])
    told = []
    reading = open_frames(path).reading(tell=told.append)
    assert len(list(reading)) == 80
    assert reading.summary() is None and not told


def test_frames_of_another_size_are_scaled_to_the_first_ones_and_said(tmp_path):
    path = tmp_path / "a.avi"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=24)
        stream.height, stream.width, stream.pix_fmt = 48, 64, "yuvj420p"
        for number, frame in enumerate(numbered_frames(6)):
            picture = Image.fromarray(frame)
            (picture.resize((32, 40)) if number in (3, 4) else picture).save(tmp_path / "a.jpg")
            packet = av.Packet((tmp_path / "a.jpg").read_bytes())
            packet.stream, packet.pts, packet.dts, packet.is_keyframe = stream, number, number, True
            container.mux(packet)
    told = []
    pictures = [picture.pixels for _, picture in open_frames(path).reading(tell=told.append)]
    assert {picture.shape for picture in pictures} == {(48, 64, 3)} and _numbers(pictures) == list(range(6))
    assert told == ["frame 3 at 0.125 s: 32x40, scaled to the first frame's 64x48"]


def test_decoded_frames_do_not_pile_up_in_memory(tmp_path):
    # Trap: PyAV's side data and a frame hold each other until a garbage collection.
    frames = numbered_frames(60, 240, 320)
    video = open_frames(write_video(tmp_path / "a.mp4", frames, "mpeg4"))

    def alive():
        return sum(
            type(found) is av.VideoFrame for found in gc.get_objects()
        )  # isinstance wakes lazy objects

    before = alive()  # what earlier tests have left
    more = [alive() - before for number, _ in enumerate(video.read()) if number % 20 == 19]
    assert len(more) == 3 and max(more) < 10
