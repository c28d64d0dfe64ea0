import numpy as np
import pytest
from golden_files import load_json
from hypothesis import given
from hypothesis import strategies as st

from vos3d_jax.data.samples.clip import RULES, ClipSampling, code_clip, paper_clip
from vos3d_jax.errors import UserError

CASES = load_json("3dcseg/pipeline_golden.json")["training_sampling_code"]
DRAWS = 4000


@pytest.mark.parametrize(
    "case", CASES, ids=lambda case: f"length{case['length']}start{case['start']}gap{case['gap']}"
)
def test_the_code_rule_draws_as_the_released_sampler_does(case):
    arguments = case["length"], case["start"], case["clip_length"], case["gap"]
    rng = np.random.default_rng(0)
    clips = np.array([code_clip(*arguments, rng) for _ in range(DRAWS)])
    assert clips.shape == (DRAWS, case["clip_length"])
    assert (np.diff(clips) >= 0).all() == case["always_sorted"]
    assert (clips.min(), clips.max()) == (case["min"], case["max"])
    allowed = 4.5 * np.sqrt(0.25 / DRAWS + 0.25 / 20_000)  # both shares are estimates
    assert abs((clips == case["start"]).any(1).mean() - case["share_of_clips_containing_start"]) < allowed
    for frame, share in case["first_frame_histogram"].items():
        assert abs((clips[:, 0] == int(frame)).mean() - share) < allowed
    if case["distinct_clips"] < 500:
        assert len(np.unique(clips, axis=0)) == pytest.approx(case["distinct_clips"], rel=0.02)


def test_the_code_rule_repeats_the_start_frame_in_front_of_a_short_window():
    assert code_clip(70, 64, 8, 12, np.random.default_rng(0)) == [64, 64, 64, 65, 66, 67, 68, 69]


def test_the_paper_rule_keeps_the_start_and_pads_with_the_last_frame():
    rng = np.random.default_rng(0)
    assert paper_clip(5, 2, 8, 32, rng) == [2, 3, 4, 4, 4, 4, 4, 4]
    clips = np.array([paper_clip(70, 10, 8, 32, rng) for _ in range(500)])
    assert (clips[:, 0] == 10).all()
    assert (clips[:, 1:].min(), clips[:, 1:].max()) == (11, 42)


def test_a_gap_of_the_clip_length_gives_consecutive_frames():
    assert code_clip(70, 5, 4, 4, np.random.default_rng(0)) == [5, 6, 7, 8]


@given(
    rule=st.sampled_from(sorted(RULES)),
    length=st.integers(1, 40),
    start=st.floats(0, 0.999),
    clip_length=st.integers(1, 10),
    gap=st.integers(1, 40),
    seed=st.integers(0, 9),
)
def test_every_clip_is_sorted_inside_the_video_and_repeats_nothing_but_its_padding(
    rule, length, start, clip_length, gap, seed
):
    start = int(start * length)
    clip = ClipSampling(rule, gap).frames(length, start, clip_length, np.random.default_rng(seed))
    assert len(clip) == clip_length and clip == sorted(clip)
    assert start <= clip[0] and clip[-1] < length
    padding = start if rule == "code" else length - 1
    drawn = [frame for frame in clip if frame != padding]
    assert len(drawn) == len(set(drawn))


def test_an_unknown_rule_or_gap_is_refused():
    with pytest.raises(UserError, match="choose one of code, paper"):
        ClipSampling("random")
    with pytest.raises(UserError, match="gap is 0"):
        ClipSampling(gap=0)
