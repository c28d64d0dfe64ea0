"""From masks to scores: running methods, files, and what is refused."""

import dataclasses
import functools
import weakref

import numpy as np
import pytest
from golden_files import load_json, load_npz, shared_data

import vos3d_jax
from vos3d_jax.data.video import Video
from vos3d_jax.errors import UserError
from vos3d_jax.evaluation import (
    Scores,
    SequenceScores,
    benchmarks,
    everything_foreground,
    masks_on_disk,
    score_predictions,
)
from vos3d_jax.evaluation.scores import require_comparable
from vos3d_jax.evaluation.scoring import benchmark_videos
from vos3d_jax.media.images import write_palette_png

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


def shifted(offset, video):
    return (mask_at(offset, index) for index in range(video.length))


def test_the_truth_scores_one_and_a_shifted_mask_its_overlap():
    perfect = score_predictions("davis2016", [make_video()], functools.partial(shifted, 0))
    assert (perfect.j.mean, perfect.f.mean, perfect.j_and_f, perfect.j.recall) == (1, 1, 1, 1)
    scores = score_predictions("davis2016", [make_video()], functools.partial(shifted, 5))
    assert scores.sequences[0].j_frames == (50 / 150,) * 3
    assert scores.sequences[0].frames == ("00001", "00002", "00003")
    assert (scores.protocol, scores.benchmark) == ("toolkit", "davis2016")


def test_the_everything_foreground_baseline_scores_the_area_of_the_object():
    scores = score_predictions("davis2016_all_frames", [make_video()], everything_foreground)
    assert scores.j.mean == pytest.approx(100 / (24 * 32))
    assert scores.f.mean == 0
    assert len(scores.sequences[0].frames) == 5


def test_means_are_over_sequences_and_not_over_frames():
    videos = [make_video("short", 3), make_video("long", 8)]

    def masks(video):
        return shifted(0 if video.name == "short" else 5, video)

    assert score_predictions("davis2016", videos, masks).j.mean == pytest.approx((1 + 1 / 3) / 2)


def test_trap_7_255_and_other_ids_of_a_result_are_foreground():
    def masks(video):
        return (mask * value for mask, value in zip(shifted(0, video), [1, 2, 255, 7, 1], strict=True))

    assert score_predictions("davis2016", [make_video()], masks).j.mean == 1


def test_void_does_not_count_in_own_videos():
    def truth(index):
        mask = mask_at(0, index)
        mask[5:10][mask[5:10] == 1] = 255
        return mask

    def found(video):
        return ((truth(index) == 1).astype(np.uint8) for index in range(video.length))

    video = make_video(read_mask=truth)
    assert score_predictions("folder", [video], found).j.mean == 1
    assert score_predictions("folder", [video], functools.partial(shifted, 0)).j.mean == 1


def test_own_videos_are_scored_where_they_have_masks():
    video = make_video(read_mask=lambda index: mask_at(0, index) if index % 2 else None)
    scores = score_predictions("folder", [video], functools.partial(shifted, 0))
    assert scores.sequences[0].frames == ("00001", "00003")
    with pytest.raises(UserError, match="bear 00002 has no true mask"):
        score_predictions("davis2016", [video], functools.partial(shifted, 0))
    with pytest.raises(UserError, match="bear has no true masks to score against"):
        score_predictions("folder", [make_video(read_mask=lambda index: None)], functools.partial(shifted, 0))


def test_masks_are_dropped_as_they_are_scored():
    seen = []

    def masks(video):
        for index in range(video.length):
            assert sum(reference() is not None for reference in seen) <= 2
            mask = mask_at(0, index)
            seen.append(weakref.ref(mask))
            yield mask

    assert score_predictions("davis2016_all_frames", [make_video(length=20)], masks).j.mean == 1


@pytest.mark.parametrize(
    "masks, expected",
    [
        (lambda video: iter([mask_at(0, 0)] * 4), "5 frames but only 4 masks"),
        (lambda video: iter([mask_at(0, 0)] * 6), "5 frames but more masks"),
        (lambda video: iter([None] * 5), "no mask for bear 00001"),
        (
            lambda video: iter([np.zeros((24, 30), np.uint8)] * 5),
            "mask of bear 00001 is 30x24 but its frame is 32x24: resize the mask with nearest neighbour",
        ),
    ],
)
def test_trap_26_wrong_masks_are_named_and_never_resized(masks, expected):
    with pytest.raises(UserError, match=expected):
        score_predictions("davis2016", [make_video()], masks)


def test_no_videos_are_named():
    with pytest.raises(UserError, match="no videos to score in DAVIS-2016 val"):
        score_predictions("davis2016", [], everything_foreground)


def test_files_of_frames_that_are_not_scored_may_be_absent(tmp_path):
    video, rules = make_video(), benchmarks.find("davis2016")
    for index in (1, 2, 3):
        write_palette_png(tmp_path / "bear" / f"{index:05d}.png", mask_at(0, index))
    assert score_predictions(rules, [video], masks_on_disk(tmp_path, rules)).j.mean == 1
    (tmp_path / "bear/00002.png").unlink()
    with pytest.raises(UserError, match=r"bear/00002\.png is missing"):
        score_predictions(rules, [video], masks_on_disk(tmp_path, rules))
    write_palette_png(tmp_path / "bear/00002.png", np.zeros((3, 4), np.uint8))
    with pytest.raises(UserError, match=r"bear/00002\.png is 4x3 but its frame is 32x24"):
        score_predictions(rules, [video], masks_on_disk(tmp_path, rules))
    with pytest.raises(UserError, match="no masks of 'surf': .*surf is not a folder"):
        score_predictions(rules, [make_video("surf")], masks_on_disk(tmp_path, rules))


def test_score_reads_masks_in_davis_layout_whoever_made_them(tmp_path):
    for name in ("JPEGImages", "Annotations"):
        (tmp_path / "data" / name).mkdir(parents=True)
    for index in range(4):
        write_palette_png(tmp_path / f"data/Annotations/bear/{index:05d}.png", mask_at(0, index))
        write_palette_png(tmp_path / f"data/JPEGImages/bear/{index:05d}.png", mask_at(0, index))
        write_palette_png(tmp_path / f"mine/bear/{index:05d}.png", mask_at(5, index))
    scores = vos3d_jax.score(tmp_path / "mine", benchmark="folder", data_dir=tmp_path / "data")
    assert scores.j.mean == pytest.approx(1 / 3)
    assert (scores.method, scores.protocol) == ("mine", "annotated_frames")
    with pytest.raises(UserError, match="none is not a folder"):
        vos3d_jax.score(tmp_path / "none", benchmark="folder", data_dir=tmp_path / "data")


def test_scores_survive_their_file():
    scores = score_predictions("davis2016", [make_video()], functools.partial(shifted, 4), method="mine")
    assert Scores.from_json(scores.to_json()) == scores
    assert set(scores.versions) == {"vos3d_jax", "python", "numpy", "opencv"}
    for text in ("", "{}", "[]", '{"sequences": [{"name": 3}]}'):
        with pytest.raises(UserError, match=r"old\.json is no scores\.json"):
            Scores.from_json(text, "old.json")


def test_a_part_of_a_benchmark_and_another_size_are_not_called_complete():
    masks = functools.partial(shifted, 0)
    scores = score_predictions("davis2016", [make_video()], masks)
    assert scores.subject == "DAVIS-2016 val, not in full: 1 sequence, 3 frames at 32x24"
    whole = [make_video(name) for name in benchmarks.DAVIS2016_VAL]
    assert not score_predictions("davis2016", whole, masks).complete


def test_results_of_different_protocols_frames_or_sizes_are_not_compared():
    masks = functools.partial(shifted, 0)
    first = score_predictions("davis2016", [make_video()], masks)
    require_comparable(first, score_predictions("davis2016", [make_video()], everything_foreground))
    for other, expected in [
        (score_predictions("davis2016_all_frames", [make_video()], masks), "different benchmarks"),
        (dataclasses.replace(first, protocol="all_frames"), "different protocols"),
        (score_predictions("davis2016", [make_video(length=6)], masks), "same frames of 'bear'"),
        (score_predictions("davis2016", [make_video("surf")], masks), "same frames of 'bear'"),
    ]:
        with pytest.raises(UserError, match=expected):
            require_comparable(first, other)


@pytest.mark.parametrize(
    "name, protocol",
    [("davis2016", "without_first_and_last"), ("davis2016_all_frames", "all_frames")],
)
def test_a_real_sequence_has_the_official_scores_under_both_protocols(name, protocol):
    golden, packed = load_json("metrics/sequence.json"), load_npz("metrics/sequence_car-shadow.npz")
    count, height, width = golden["shape"]
    truth, result = (
        np.unpackbits(packed[key])[: count * height * width].reshape(count, height, width)
        for key in ("gt", "result")
    )
    video = make_video("car-shadow", count, lambda index: truth[index], (height, width))
    scores = score_predictions(name, [video], lambda _: iter(result))
    sequence = scores.sequences[0]
    kept = slice(1, -1) if name == "davis2016" else slice(None)
    np.testing.assert_allclose(sequence.j_frames, golden["J"][kept], rtol=0, atol=1e-12)
    np.testing.assert_allclose(sequence.f_frames, golden["F"][kept], rtol=0, atol=1e-12)
    for metric, found in (("J", sequence.j), ("F", sequence.f)):
        expected = golden[f"{metric}_statistics_{protocol}"]
        np.testing.assert_allclose([found.mean, found.recall, found.decay], expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("technique", ["osvos", "rvos"])
@pytest.mark.parametrize("protocol", ["all_frames", "without_first_and_last"])
def test_the_official_per_frame_values_aggregate_to_the_official_table(technique, protocol):
    golden, values = (
        load_json("metrics/davis2016_osvos_rvos.json"),
        load_npz("metrics/davis2016_osvos_rvos.npz"),
    )
    ends = np.cumsum(golden["frames"])[:-1]
    kept = slice(None) if protocol == "all_frames" else slice(1, -1)
    j, f = (np.split(values[f"{technique}_{metric}"], ends) for metric in "JF")
    sequences = tuple(
        SequenceScores(name, (480, 854), (), tuple(j[k][kept].tolist()), tuple(f[k][kept].tolist()))
        for k, name in enumerate(golden["sequences"])
    )
    scores = Scores("davis2016", "DAVIS-2016 val", protocol, "", True, technique, sequences)
    expected = golden["techniques"][technique][protocol]
    for metric, found in (("J", scores.j), ("F", scores.f)):
        np.testing.assert_allclose(
            [found.mean, found.recall, found.decay], expected[metric], rtol=0, atol=1e-12
        )
    assert scores.j_and_f == pytest.approx(expected["JF"], abs=1e-12)


def test_real_frames_at_240p_say_that_they_are_no_benchmark_result():
    videos = benchmark_videos(benchmarks.find("davis2016"), shared_data("DAVIS-240p"), resolution="240p")
    videos = [video for video in videos if video.name in ("libby", "car-shadow")]
    scores = score_predictions("davis2016", videos, lambda v: (v.read_mask(i) for i in range(v.length)))
    assert scores.j_and_f == 1
    assert scores.subject == "DAVIS-2016 val, not in full: 2 sequences, 85 frames at 427x240"
