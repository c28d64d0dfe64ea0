"""What each benchmark scores."""

import numpy as np
import pytest

from vos3d_jax.data.video import Video
from vos3d_jax.errors import UserError
from vos3d_jax.evaluation.benchmarks import BENCHMARKS, DAVIS2016_VAL, find


def video(length):
    names = tuple(f"{index:05d}" for index in range(length))
    return Video(
        "v",
        length,
        lambda i: np.zeros((4, 5, 3), np.uint8),
        lambda i: np.zeros((4, 5), np.uint8),
        (4, 5),
        names,
    )


def test_davis_2016_has_twenty_sequences_and_two_named_protocols():
    assert len(set(DAVIS2016_VAL)) == 20
    toolkit, every = BENCHMARKS["davis2016"], BENCHMARKS["davis2016_all_frames"]
    assert (toolkit.protocol, every.protocol) == ("toolkit", "all_frames")
    assert list(toolkit.runs(video(5))[0].scored) == [1, 2, 3]
    assert list(every.runs(video(5))[0].scored) == [0, 1, 2, 3, 4]


def test_the_rows_are_found_by_their_own_names():
    assert all(find(name).name == name for name in BENCHMARKS)
    with pytest.raises(UserError, match="no benchmark 'davis': choose one of davis2016"):
        find("davis")


def test_a_run_without_hint_shows_every_frame_and_merges_the_objects():
    (run,) = BENCHMARKS["davis2016"].runs(video(5))
    assert (run.frames, run.first_mask, run.label) == (range(5), None, None)


def test_a_video_too_short_for_the_protocol_is_named():
    with pytest.raises(UserError, match="v has 2 frames, of which .* none: give at least 3"):
        BENCHMARKS["davis2016"].runs(video(2))
