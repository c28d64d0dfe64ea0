"""Every way to give a video in Python means the same frames, or is refused with the line that mends it."""

from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from vos3d_jax.errors import UserError
from vos3d_jax.inference.frame import given_frames


def frames_of(video, first=0):
    """The pictures of a video of which no mask is given, each when it is asked for."""
    return (frame.pixels for frame in given_frames(video, {}, first))


VIDEO = np.random.default_rng(0).integers(0, 256, (3, 8, 10, 3), np.uint8)


class _Arraylike:
    """What other libraries give: no array, but numpy can make one of it."""

    def __init__(self, value):
        self._value = value

    def __array__(self, dtype=None, copy=None):
        return self._value


@pytest.mark.parametrize(
    "video",
    [
        VIDEO,
        list(VIDEO),
        iter(VIDEO),
        jnp.asarray(VIDEO),
        [jnp.asarray(frame) for frame in VIDEO],
        [_Arraylike(frame) for frame in VIDEO],
        [Image.fromarray(frame) for frame in VIDEO],
        VIDEO[:, ::-1][:, ::-1],  # strided
    ],
)
def test_arrays_pictures_and_what_numpy_can_read_give_the_same_frames(video):
    frames = list(frames_of(video))
    assert all(isinstance(frame, np.ndarray) for frame in frames)
    np.testing.assert_array_equal(frames, VIDEO)


def test_a_path_is_opened_as_the_command_opens_it(tmp_path):
    np.save(tmp_path / "video.npy", VIDEO)
    for path in (tmp_path / "video.npy", str(tmp_path / "video.npy")):
        np.testing.assert_array_equal(list(frames_of(path)), VIDEO)
    with pytest.raises(UserError, match="nothing.mp4 does not exist"):
        frames_of(tmp_path / "nothing.mp4")  # at once, not at the first frame


def test_pictures_of_pillow_are_read_by_their_mode_as_files_are():
    grey = Image.fromarray(VIDEO[0, ..., 0])
    palette = Image.fromarray(VIDEO[0]).quantize(8)
    see_through = Image.fromarray(np.dstack([VIDEO[0], VIDEO[0, ..., 0]]))
    frames = list(frames_of([grey, palette, see_through]))
    np.testing.assert_array_equal(frames[0], np.stack([VIDEO[0, ..., 0]] * 3, -1))
    np.testing.assert_array_equal(frames[1], np.array(palette.convert("RGB")))
    np.testing.assert_array_equal(frames[2], VIDEO[0])
    with pytest.raises(UserError, match=r"frame 0 is uint8 \["):  # a video without colours, not a picture
        next(frames_of(VIDEO[..., 0]))
    with pytest.raises(UserError, match="frame 0 has more than 8 bits"):
        next(frames_of([Image.fromarray(VIDEO[0, ..., 0].astype(np.uint16))]))


@pytest.mark.parametrize("video", [VIDEO[0], VIDEO[0, ..., 0], Image.fromarray(VIDEO[0]), 5, None])
def test_what_is_no_video_is_refused_before_the_first_frame_is_asked_for(video):
    with pytest.raises(UserError, match="this is one picture|is no video: give a path"):
        frames_of(video)


FRAME = VIDEO[0]


@pytest.mark.parametrize(
    ("frame", "becomes"),
    [
        (FRAME / 255, FRAME),
        (np.float32(FRAME), FRAME),
        (FRAME.astype(np.int64), FRAME),
        (FRAME.astype(np.uint16), FRAME),
        (FRAME[..., 0], np.stack([FRAME[..., 0]] * 3, -1)),
        (FRAME[..., :1], np.stack([FRAME[..., 0]] * 3, -1)),
        (np.moveaxis(FRAME, -1, 0), FRAME),
        (np.dstack([FRAME, FRAME[..., :1]]), FRAME),
    ],
)
def test_an_ambiguous_frame_is_refused_with_the_expression_that_makes_a_frame_of_it(frame, becomes):
    with pytest.raises(UserError, match=r"frame 1 is .*, and a frame is uint8 RGB \[h.*: give `") as error:
        list(frames_of([FRAME, frame]))
    mend = str(error.value).split("`")[1]
    np.testing.assert_array_equal(eval(mend, {"np": np, "frame": frame}), becomes)


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (VIDEO, "a whole clip"),
        (FRAME[0], "a row of one"),
        (FRAME[:0], "the pixels of a picture"),
        (
            "pictures/0.png",
            "frame 0 is a file name, 'pictures/0.png': give the folder of the frames, or load",
        ),
        (Path("0.png"), "frame 0 is a file name, '0.png': give the folder of the frames, or load them"),
        ([[1, 2], [3]], "gives no array"),
    ],
)
def test_what_is_no_frame_is_told_what_it_is(frame, words):
    with pytest.raises(UserError, match=words):
        next(frames_of([frame]))


@pytest.mark.parametrize("video", [[], iter([]), VIDEO[:0]])
def test_a_video_without_frames_is_refused(video):
    # Trap: a pattern that matches no file gives an empty list, and would give no masks without a word.
    with pytest.raises(UserError, match="the video has no frames"):
        list(frames_of(video))


def test_after_the_frames_of_an_earlier_run_there_may_be_none():
    assert list(frames_of([], first=8)) == []


def test_a_mask_of_a_frame_before_the_first_is_told():
    # Trap: a stream that goes on in the middle once passed over it without a word.
    with pytest.raises(UserError, match=f"given for frame 0, and frames are 5 to {4 + len(VIDEO)}"):
        list(given_frames(VIDEO, {0: np.zeros(VIDEO.shape[1:3], np.uint8)}, 5))
