"""From masks to scores: running methods, files, and what is refused."""

import dataclasses
import functools
import json
import weakref

import numpy as np
import pytest
from golden_files import shared_data

from vos3d_jax.data.video import Video
from vos3d_jax.errors import UserError
from vos3d_jax.evaluation import benchmark_data, benchmarks, metrics
from vos3d_jax.evaluation.benchmark_data import BenchmarkData
from vos3d_jax.evaluation.scores import Scores, require_comparable
from vos3d_jax.evaluation.scoring import everything_foreground, score, score_predictions

SIZE = (24, 32)


def mask_at(offset, index):
    mask = np.zeros(SIZE, np.uint8)
    mask[5:15, offset + index : offset + index + 10] = 1
    return mask


def make_video(name="bear", length=5, read_mask=None, size=SIZE):
    names = tuple(f"{index:05d}" for index in range(length))
    return Video(
        name,
        length,
        lambda i: np.zeros((*size, 3), np.uint8),
        read_mask or functools.partial(mask_at, 0),
        size,
        names,
    )


def shifted(offset, run):
    return (mask_at(offset, index) for index in run.frames)


def scores_of(benchmark, videos, answer, **options):
    return score_predictions(BenchmarkData(benchmarks.find(benchmark), videos), answer, **options)


def test_the_truth_scores_one_and_a_shifted_mask_its_overlap():
    perfect = scores_of("davis2016", [make_video()], functools.partial(shifted, 0))
    assert (*(perfect.figures[name] for name in ("J mean", "F mean", "J&F", "J recall")),) == (1, 1, 1, 1)
    scores = scores_of("davis2016", [make_video()], functools.partial(shifted, 5))
    assert scores.rows[0].series["J"] == (50 / 150,) * 3
    assert scores.rows[0].frames == ("00001", "00002", "00003")
    assert (scores.protocol, scores.benchmark) == ("toolkit", "davis2016")


def test_what_the_data_of_a_benchmark_say_is_not_taken_beside_them(tmp_path):
    # Trap: metrics=["J"] once measured everything.
    data = BenchmarkData(benchmarks.find("davis2016"), [make_video()])
    for given in ({"metrics": ["J"]}, {"partial": True}, {"split": "train"}, {"lenght": 3}):
        with pytest.raises(UserError, match=f"{next(iter(given))}: the benchmark's data say that"):
            score(tmp_path, data, **given)


def test_the_everything_foreground_baseline_scores_the_area_of_the_object():
    scores = scores_of("davis2016_all_frames", [make_video()], everything_foreground)
    assert scores.figures["J mean"] == pytest.approx(100 / (24 * 32))
    assert scores.figures["F mean"] == 0
    assert len(scores.rows[0].frames) == 5


def test_means_are_over_sequences_and_not_over_frames():
    videos = [make_video("short", 3), make_video("long", 8)]

    def masks(run):
        return shifted(0 if run.name == "short" else 5, run)

    assert scores_of("davis2016", videos, masks).figures["J mean"] == pytest.approx((1 + 1 / 3) / 2)


def test_trap_7_255_and_other_ids_of_a_result_are_foreground():
    def masks(run):
        return (mask * value for mask, value in zip(shifted(0, run), [1, 2, 255, 7, 1], strict=True))

    assert scores_of("davis2016", [make_video()], masks).figures["J mean"] == 1


def test_void_does_not_count_in_own_videos():
    def truth(index):
        mask = mask_at(0, index)
        mask[5:10][mask[5:10] == 1] = 255
        return mask

    def found(run):
        return ((truth(index) == 1).astype(np.uint8) for index in run.frames)

    video = make_video(read_mask=truth)
    assert scores_of("folder", [video], found).figures["J mean"] == 1
    assert scores_of("folder", [video], functools.partial(shifted, 0)).figures["J mean"] == 1


def test_own_videos_are_scored_where_they_have_masks():
    video = make_video(read_mask=lambda index: mask_at(0, index) if index % 2 else None)
    scores = scores_of("folder", [video], functools.partial(shifted, 0))
    assert scores.rows[0].frames == ("00001", "00003")
    with pytest.raises(UserError, match="bear 00002 has no true mask"):
        scores_of("davis2016", [video], functools.partial(shifted, 0))
    with pytest.raises(UserError, match="bear has no true masks to score against"):
        scores_of("folder", [make_video(read_mask=lambda index: None)], functools.partial(shifted, 0))


def test_masks_are_dropped_as_they_are_scored():
    seen = []

    def masks(run):
        for index in run.frames:
            assert sum(reference() is not None for reference in seen) <= 2
            mask = mask_at(0, index)
            seen.append(weakref.ref(mask))
            yield mask

    assert scores_of("davis2016_all_frames", [make_video(length=20)], masks).figures["J mean"] == 1


@pytest.mark.parametrize(
    "masks, expected",
    [
        (lambda run: iter([mask_at(0, 0)] * 4), "5 frames but only 4 masks"),
        (lambda run: iter([mask_at(0, 0)] * 6), "5 frames but more masks"),
        (lambda run: iter([None] * 5), "no mask for bear 00001"),
        (
            lambda run: iter([np.zeros((24, 30), np.uint8)] * 5),
            "mask of bear 00001 is 30x24 but its frame is 32x24: resize the mask with nearest neighbour",
        ),
    ],
)
def test_trap_26_wrong_masks_are_named_and_never_resized(masks, expected):
    with pytest.raises(UserError, match=expected):
        scores_of("davis2016", [make_video()], masks)


def test_an_answer_that_several_runs_share_is_asked_for_once_with_all_frames_of_the_longest():
    """JumpCut: three distances from one key frame are three looks at the same masks."""
    asked = []

    def answer(run):
        asked.append((run.given, run.frames))
        return (mask_at(0, index) if index % 16 else np.zeros(SIZE, np.uint8) for index in run.frames)

    video = make_video(length=33, read_mask=lambda index: mask_at(0, 0) if index < 32 else mask_at(5, 0))
    scores = scores_of("jumpcut", [video], answer)
    assert asked == [((0,), range(33)), ((16,), range(16, 33))]
    alone = {}
    runs = BenchmarkData(benchmarks.find("jumpcut"), [video]).runs
    for run in runs:
        (mask,) = (mask for index, mask in zip(run.frames, answer(run), strict=True) if index in run.scored)
        alone[run.name] = metrics.jumpcut_error(mask, video.read_mask(run.scored[0]))
    assert {row.name: row.series["error"] for row in scores.rows} == {
        name: (error,) for name, error in alone.items()
    }
    assert [row.name for row in scores.rows] == [run.name for run in runs]


def test_no_videos_are_named():
    with pytest.raises(UserError, match="no videos to score in DAVIS-2016 val"):
        scores_of("davis2016", [], everything_foreground)


def test_scores_survive_their_file():
    scores = scores_of("davis2016", [make_video()], functools.partial(shifted, 4), method="mine")
    assert Scores.from_json(scores.to_json()) == scores
    assert set(scores.provenance["versions"]) == {"vos3d_jax", "python", "numpy", "opencv", "scipy"}
    for text in ("[" * 100_000, "", "{}", "[]", '{"sequences": [{"name": 3}]}'):
        with pytest.raises(UserError, match=r"old\.json is no scores\.json"):
            Scores.from_json(text, "old.json")


def test_a_part_of_a_benchmark_and_another_size_are_not_called_complete():
    masks = functools.partial(shifted, 0)
    scores = scores_of("davis2016", [make_video()], masks)
    assert scores.subject == "DAVIS-2016 val, not in full: 1 sequence, 3 frames at 32x24"
    whole = [make_video(name) for name in benchmarks.DAVIS2016_VAL]
    assert not scores_of("davis2016", whole, masks).complete


def test_results_of_different_protocols_frames_or_sizes_are_not_compared():
    masks = functools.partial(shifted, 0)
    first = scores_of("davis2016", [make_video()], masks)
    require_comparable(first, scores_of("davis2016", [make_video()], everything_foreground))
    for other, expected in [
        (scores_of("davis2016_all_frames", [make_video()], masks), "different benchmarks"),
        (dataclasses.replace(first, protocol="all_frames"), "different protocols"),
        (scores_of("davis2016", [make_video(length=6)], masks), "same frames of 'bear'"),
        (scores_of("davis2016", [make_video("surf")], masks), "same frames of 'bear'"),
    ]:
        with pytest.raises(UserError, match=expected):
            require_comparable(first, other)


def test_real_frames_at_240p_say_that_they_are_no_benchmark_result():
    data = benchmark_data.load(benchmarks.find("davis2016"), shared_data("DAVIS-240p"), resolution="240p")
    videos = [video for video in data.videos if video.name in ("libby", "car-shadow")]
    scores = scores_of("davis2016", videos, lambda run: map(run.video.read_mask, run.frames))
    assert scores.figures["J&F"] == 1
    assert scores.subject == "DAVIS-2016 val, not in full: 2 sequences, 85 frames at 427x240"


def test_t_is_measured_of_the_sequences_that_its_mean_counts():
    videos = [make_video("cows"), make_video("dog")]
    scores = scores_of("davis2016", videos, functools.partial(shifted, 0))
    assert [set(row.series) for row in scores.rows] == [{"J", "F", "T"}, {"J", "F"}]
    assert scores.figures["T mean"] == scores.rows[0].statistics("T").mean


def test_no_recall_and_decay_are_stored_of_t_and_of_errors():
    scores = scores_of("davis2016", [make_video("cows")], functools.partial(shifted, 0))
    stored = json.loads(scores.to_json())["rows"][0]["statistics"]
    assert (set(stored["J"]), set(stored["T"])) == ({"mean", "recall", "decay"}, {"mean"})
