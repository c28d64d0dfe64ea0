"""In a damaged video the frames that can be decoded keep their numbers, and the others are told."""

import functools
from fractions import Fraction

import av
import numpy as np
import pytest
from video_files import numbered_frames, spoil, write_video

from vos3d_jax.errors import UserError
from vos3d_jax.media.frames import open_frames

LENGTH = 24
# With a key frame every six: what is not shown right after the data of one are overwritten, at most.
DAMAGED = {
    ("mp4", "libx264"): range(12, 18),
    ("mkv", "libx264"): range(12, 18),
    ("ts", "libx264"): range(12, 18),
    ("flv", "libx264"): range(12, 18),
    ("mp4", "libx265"): range(7, 18),
    ("avi", "mpeg4"): range(7, 18),
    ("mp4", "mpeg4"): range(7, 18),
    ("webm", "libvpx"): range(12, 18),
    ("webm", "libvpx-vp9"): range(12, 18),
    ("mp4", "libsvtav1"): range(12, 18),
    ("mkv", "ffv1"): range(12, 18),
    ("flv", "flv"): range(12, LENGTH),
    ("mov", "mjpeg"): [12],
    ("avi", "mjpeg"): [12],
    ("mov", "png"): [12],
    ("mov", "prores_ks"): [12],
    ("avi", "utvideo"): [12],
    ("avi", "msmpeg4"): range(12, LENGTH),
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Makes a video of a form once, and hands out copies."""
    folder = tmp_path_factory.mktemp("whole")

    def make(suffix, codec, path):
        file = folder / f"{codec}.{suffix}"
        if not file.exists():
            write_video(file, numbered_frames(LENGTH), codec)
        path.write_bytes(file.read_bytes())
        return path

    return make


@pytest.fixture(scope="module")
def clean(whole, tmp_path_factory):
    """The frames of the undamaged video of a form."""

    @functools.cache
    def frames(suffix, codec):
        return list(
            open_frames(whole(suffix, codec, tmp_path_factory.mktemp("clean") / f"a.{suffix}")).read()
        )

    return frames


def _read(path, rule="repeat"):
    told = []
    reading = open_frames(path).reading(rule, told.append)
    return {number: picture for number, picture in reading}, reading, told


def _wrong(pictures, frames):
    """The numbers under which there is another picture than in the undamaged video."""
    return [
        number for number, picture in pictures.items() if not np.array_equal(picture.pixels, frames[number])
    ]


@pytest.mark.parametrize(("suffix", "codec"), DAMAGED, ids=map("-".join, DAMAGED))
def test_every_frame_far_from_a_broken_one_has_its_number(whole, clean, tmp_path, suffix, codec):
    path = spoil(whole(suffix, codec, tmp_path / f"clip.{suffix}"), 12)
    pictures, reading, told = _read(path)
    assert list(pictures) == list(range(LENGTH))
    wrong = _wrong(pictures, clean(suffix, codec))
    assert set(wrong) <= set(DAMAGED[suffix, codec])
    bad = LENGTH - reading.decoded
    assert 1 <= bad <= len(DAMAGED[suffix, codec])
    assert reading.summary().startswith(f"{LENGTH - bad} of {LENGTH} frames decoded; the picture before is")
    first = next(words for words in told if "cannot be decoded" in words)
    assert first.startswith(f"frame {min(set(wrong))} at ") and " s cannot be decoded: " in first
    left_out, _, _ = _read(path, "skip")
    assert len(left_out) == reading.decoded and set(left_out) | set(DAMAGED[suffix, codec]) == set(
        range(LENGTH)
    )
    before, stopped, _ = _read(path, "stop")
    assert list(before) == list(range(min(set(wrong))))
    assert stopped.stopped.startswith(f"{path}: frame {min(set(wrong))} at ")


@pytest.mark.parametrize(("suffix", "codec"), [("mp4", "libx264"), ("mov", "mjpeg"), ("webm", "libvpx-vp9")])
@pytest.mark.parametrize("which", [0, LENGTH - 1])
def test_the_first_and_the_last_frame_may_be_broken(whole, clean, tmp_path, suffix, codec, which):
    path = spoil(whole(suffix, codec, tmp_path / f"clip.{suffix}"), which)
    pictures, reading, _ = _read(path)
    assert list(pictures) == list(range(LENGTH)) and reading.decoded < LENGTH
    wrong = _wrong(pictures, clean(suffix, codec))
    assert wrong and set(wrong) <= set(range(6) if which == 0 else range(LENGTH - 6, LENGTH))
    if which == 0:  # what stands before the first good picture is that picture
        first = next(number for number in pictures if number not in wrong)
        np.testing.assert_array_equal(pictures[0].pixels, pictures[first].pixels)


def test_the_frames_between_broken_ones_are_kept(whole, clean, tmp_path):
    path = spoil(whole("mov", "mjpeg", tmp_path / "clip.mov"), 3, 4, 9, 23)
    pictures, reading, told = _read(path)
    assert _wrong(pictures, clean("mov", "mjpeg")) == [3, 4, 9, 23]
    assert reading.summary() == (
        "20 of 24 frames decoded; the picture before is used in the place of frames 3-4, 9, 23"
    )
    assert [words.split(" cannot")[0] for words in told] == [
        "frame 3 at 0.125 s",
        "frame 4 at 0.167 s",
        "frame 9 at 0.375 s",
        "frame 23 at 0.958 s",
    ]


def _without_a_block(path, which):
    """An mkv in which the head of a block is overwritten: readers go on at the next cluster."""
    with av.open(str(path)) as container:
        at = [packet.pos for packet in container.demux(video=0) if packet.size][which]
    data = bytearray(path.read_bytes())
    data[at : at + 4] = b"\xff\x00\xff\x00"
    path.write_bytes(data)
    return path


def test_a_hole_that_a_damaged_container_leaves_is_filled(tmp_path):
    # Trap: FFmpeg says nothing of the blocks it skips, and every later mask has another frame's number.
    path = write_video(tmp_path / "clip.mkv", numbered_frames(LENGTH), cluster_time_limit="250")
    frames = list(open_frames(path).read())
    pictures, reading, told = _read(_without_a_block(path, 9))
    assert list(pictures) == list(range(LENGTH))
    assert set(_wrong(pictures, frames)) <= set(range(6, 18))
    assert 12 < reading.decoded < LENGTH and "the file is damaged here" in told[0]


def test_uneven_times_in_a_whole_file_are_no_hole(tmp_path):
    times = [0, 42, 83, 500, 542, 2000]
    path = write_video(tmp_path / "a.mkv", numbered_frames(6), times=times, tick=Fraction(1, 1000))
    pictures, reading, told = _read(path)
    assert list(pictures) == list(range(6)) and reading.summary() is None and not told


def _fast_start(path):
    """The mp4 with its index in front, as for streaming: only such a one can be read when it is cut."""
    other = path.with_name(f"fast-{path.name}")
    with (
        av.open(str(path)) as source,
        av.open(str(other), "w", options={"movflags": "faststart"}) as target,
    ):
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = stream
                target.mux(packet)
    return other


@pytest.mark.parametrize(
    ("suffix", "codec", "words"),
    [
        ("avi", "mjpeg", "says that it has 24 frames, and ends after"),
        ("mp4", "libx264", "says that it has 24 frames, and ends after"),
        ("mkv", "ffv1", "is damaged at its end"),
        ("webm", "libvpx-vp9", "is damaged at its end"),
    ],
)
def test_a_download_that_was_cut_is_read_as_far_as_it_goes_and_told(
    whole, clean, tmp_path, suffix, codec, words
):
    path = whole(suffix, codec, tmp_path / f"clip.{suffix}")
    path = _fast_start(path) if suffix == "mp4" else path
    data = path.read_bytes()
    for part in (0.8, 0.9):
        path.write_bytes(data[: int(len(data) * part)])
        pictures, reading, _ = _read(path)
        assert 0 < reading.decoded < LENGTH and list(pictures) == list(range(len(pictures)))
        assert set(_wrong(pictures, clean(suffix, codec))) <= set(range(len(pictures) - 3, len(pictures)))
        assert words in reading.summary() and str(path) in reading.summary()


def test_a_cut_between_two_frames_is_told_too(whole, tmp_path):
    # Trap: nothing is broken, the file only has less than it says.
    path = whole("avi", "mjpeg", tmp_path / "clip.avi")
    with av.open(str(path)) as container:
        places = [packet.pos for packet in container.demux(video=0) if packet.size]
    path.write_bytes(path.read_bytes()[: places[16] - 8])
    pictures, reading, told = _read(path)
    assert len(pictures) == 16 and reading.summary().startswith("16 of 24 frames decoded; ") and not told


def test_a_video_without_a_picture_that_can_be_decoded_is_refused(whole, tmp_path):
    path = spoil(whole("mov", "mjpeg", tmp_path / "clip.mov"), *range(LENGTH))
    with pytest.raises(UserError, match="no frame of .*clip.mov can be decoded"):
        open_frames(path)
