import golden_files
import pytest
from clip_rule import clips, count_votes
from hypothesis import given
from hypothesis import strategies as st

from vos3d_jax.errors import UserError
from vos3d_jax.inference.clips import ClipSchedule

PIPELINE = golden_files.load_json("3dcseg/pipeline_golden.json")


def _arguments(case, tail):
    overlap = case.get("overlap", case["clip_length"] - 1)
    return dict(clip_length=case["clip_length"], overlap=overlap, tail=tail)


def _made(length, **cut):
    schedule = ClipSchedule(**cut)
    return [*filter(None, (schedule.arrive() for _ in range(length))), *schedule.finish()]


@pytest.mark.parametrize(
    ("table", "tail"), [("clips_code", "code"), ("clips_code_dense", "code"), ("clips_paper", "paper")]
)
def test_clips_and_votes_are_the_published_ones(table, tail):
    for case in PIPELINE[table]:
        cut = _made(case["length"], **_arguments(case, tail))
        assert [list(clip.frames) for clip in cut] == case["clips"], case["length"]
        assert count_votes(cut, case["length"]) == case["votes"], case["length"]


def test_the_code_repeats_the_start_frame_in_front_and_lets_the_repeats_vote():
    # spec-3dc-seg.md 6, trap 17
    cut = _made(6)
    assert cut[0].frames == (0, 0, 0, 1, 2, 3, 4, 5)
    assert count_votes(cut, 6) == [3, 1, 1, 1, 1, 9]


def test_a_video_without_frames_has_no_clips():
    assert _made(0) == _made(0, tail="paper") == []


@st.composite
def _cuts(draw):
    clip_length = draw(st.integers(1, 12))
    overlap = draw(st.integers(0, clip_length - 1))
    return dict(clip_length=clip_length, overlap=overlap, tail=draw(st.sampled_from(["code", "paper"])))


@given(length=st.integers(0, 60), cut=_cuts())
def test_frames_arriving_one_by_one_give_the_clips_of_the_whole_video(length, cut):
    assert _made(length, **cut) == clips(length, **cut)


@given(length=st.integers(1, 60), cut=_cuts())
def test_final_frames_have_all_their_votes_and_are_in_no_later_clip(length, cut):
    all_votes = count_votes(clips(length, **cut), length)
    assert min(all_votes) >= 1
    schedule = ClipSchedule(**cut)
    made = []

    def check(clip):
        assert not [frame for frame in clip.frames if frame < already_final]
        made.append(clip)
        now_final = min(schedule.final, length)
        assert count_votes(made, length)[:now_final] == all_votes[:now_final]

    for _ in range(length):
        already_final = schedule.final
        if clip := schedule.arrive():
            check(clip)
        assert schedule.arrived - schedule.final < cut["clip_length"]  # so the window is bounded
    already_final = schedule.final
    for clip in schedule.finish():
        check(clip)
        already_final = schedule.final


@given(length=st.integers(9, 60))
def test_a_frame_is_final_as_soon_as_its_last_clip_was_seen(length):
    schedule = ClipSchedule(8, 3)
    for _ in range(length):
        if clip := schedule.arrive():
            assert schedule.final == clip.frames[0] + 5


@pytest.mark.parametrize(
    ("cut", "words"),
    [
        (dict(clip_length=0), "clip_length is 0"),
        (dict(clip_length=8, overlap=8), "overlap is 8: give 0 to 7"),
        (dict(overlap=-1), "overlap is -1"),
        (dict(tail="Code"), "tail is 'Code'"),
    ],
)
def test_impossible_cuts_are_refused(cut, words):
    with pytest.raises(UserError, match=words):
        ClipSchedule(**cut)
