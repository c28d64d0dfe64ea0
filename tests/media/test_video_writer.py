"""The overlay's frames stand where the video's do, in time and in shape."""

from fractions import Fraction

import av
import numpy as np
import pytest
from video_files import numbered_frames

from vos3d_jax.errors import UserError
from vos3d_jax.media.frames import open_frames
from vos3d_jax.media.video_writer import VideoWriter

MS = Fraction(1, 1000)


def _write(path, times, rate=24, pixel_aspect=Fraction(1)):
    with VideoWriter(path, rate) as writer:
        for frame, time in zip(numbered_frames(len(times)), times, strict=True):
            writer.write(frame, time, pixel_aspect)
    return [picture.time for picture in open_frames(path).pictures()]


def test_odd_sizes_lose_nothing_in_a_video(tmp_path):
    frames = np.full((3, 33, 45, 3), 128, np.uint8)
    frames[:, -1] = frames[:, :, -1] = 255
    with VideoWriter(tmp_path / "odd.mp4") as writer:
        for frame in frames:
            writer.write(frame)
    read = next(open_frames(tmp_path / "odd.mp4").read())
    assert read.shape == (34, 46, 3)
    assert read[32:, :40].min() > 200 and read[:30, 44:].min() > 180 and abs(int(read[10, 10, 0]) - 128) < 6


def test_a_failing_or_empty_writer_leaves_nothing(tmp_path):
    with pytest.raises(RuntimeError), VideoWriter(tmp_path / "a.mp4") as writer:
        writer.write(np.zeros((16, 16, 3), np.uint8))
        raise RuntimeError
    with VideoWriter(tmp_path / "b.mp4"):
        pass
    with pytest.raises(ValueError, match="first was"), VideoWriter(tmp_path / "c.mp4") as writer:
        writer.write(np.zeros((16, 16, 3), np.uint8))
        writer.write(np.zeros((16, 18, 3), np.uint8))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("rate", [Fraction(24), Fraction(30000, 1001), Fraction(25), Fraction(120)])
def test_times_that_a_container_has_rounded_to_milliseconds_are_even_again(tmp_path, rate):
    # Trap: 1/24 s is 42, 83, 125 ms in an mkv, and an mp4 with those steps has a rate of 23.98.
    rounded = [round(number / rate / MS) * MS for number in range(9)]
    assert _write(tmp_path / "even.mp4", rounded, rate) == [number / rate for number in range(9)]
    assert open_frames(tmp_path / "even.mp4").rate == rate


def test_uneven_times_are_kept(tmp_path):
    times = [number * MS for number in (0, 40, 80, 500, 510, 520, 2000, 2001)]
    kept = _write(tmp_path / "uneven.mp4", times)
    assert max(abs(a - b) for a, b in zip(times, kept, strict=True)) <= MS / 50
    with av.open(str(tmp_path / "uneven.mp4")) as container:
        assert abs(container.duration / av.time_base - 2.001 - 1 / 24) < 0.002


@pytest.mark.parametrize(
    "times",
    [
        [None] * 4,
        [Fraction(0), Fraction(0), Fraction(-5), Fraction(1, 1000)],  # do not rise
        [Fraction(0), Fraction(10**9), None, Fraction(10**12)],  # leap
    ],
)
def test_without_times_that_can_be_believed_the_rate_says_when_a_frame_is_shown(tmp_path, times):
    assert _write(tmp_path / "a.mp4", times, 10) == [Fraction(number, 10) for number in range(4)]


@pytest.mark.parametrize("aspect", [Fraction(2), Fraction(64, 45), Fraction(10, 11), Fraction(1)])
def test_pixels_that_are_not_square_stay_so(tmp_path, aspect):
    _write(tmp_path / "wide.mp4", [None] * 2, pixel_aspect=aspect)
    [*pictures] = open_frames(tmp_path / "wide.mp4").pictures()
    assert {picture.pixel_aspect for picture in pictures} == {aspect}


def test_frames_that_the_encoder_does_not_take_are_told_with_the_mend(tmp_path):
    with pytest.raises(UserError, match="frames of 70000x2 .*--no-overlay"):
        with VideoWriter(tmp_path / "a.mp4") as writer:
            writer.write(np.zeros((2, 70000, 3), np.uint8))
    assert not list(tmp_path.iterdir())
