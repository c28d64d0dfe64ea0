"""SA-V and YouTube-VOS in files: which frames of which object count, as in the public evaluators."""

import math

import numpy as np
import pytest
from mask_folders import box, write_grey, write_masks

from vos3d_jax.errors import UserError
from vos3d_jax.evaluation.benchmarks import BENCHMARKS
from vos3d_jax.evaluation.scoring import score

EVERY_FOURTH = [f"{4 * index:05d}" for index in range(7)]


def write_object(root, name, places):
    """A mask a frame: a box that many pixels from the left, or none (None)."""
    empty = np.zeros_like(box())
    masks = [empty if place is None else box(left=place) for place in places]
    for stem, mask in zip(EVERY_FOURTH, masks, strict=True):
        write_grey(root / name / f"{stem}.png", mask * np.uint8(255))


def score_object(tmp_path, truth, result):
    write_object(tmp_path / "data/Annotations_6fps/sav_1", "000", truth)
    write_object(tmp_path / "results/sav_1", "000", result)
    return score(tmp_path / "results", "sa_v", tmp_path / "data", workers=1)


def test_sa_v_counts_the_inner_frames_from_the_first_with_the_object_in_truth_or_result(tmp_path):
    none = None
    scores = score_object(tmp_path, [none, none, none, 4, 4, none, 4], [4, none, 4, 4, 5, none, none])
    (row,) = scores.rows
    assert row.frames == tuple(EVERY_FOURTH[1:-1]) and row.name == "sav_1/000"
    # Neither has it; the result alone; both; a pixel off: 90 of 110; gone in both after it was there.
    assert row.series["J"] == pytest.approx((math.nan, 0, 1, 90 / 110, 1), nan_ok=True)
    assert scores.figures["J mean"] == pytest.approx((0 + 1 + 90 / 110 + 1) / 4)


def test_equal_masks_are_said_though_the_object_is_not_there_at_first(tmp_path):
    places = [None, None, 4, 4, 5, 5, 5]
    assert "sav_1/000 equal the true ones" in score_object(tmp_path, places, places).notes[0]


def test_an_object_that_is_in_no_scored_frame_is_left_out_and_that_is_said(tmp_path):
    write_object(tmp_path / "data/Annotations_6fps/sav_1", "001", [4] * 7)
    write_object(tmp_path / "results/sav_1", "001", [5] * 7)
    scores = score_object(tmp_path, [4, *[None] * 5, 4], [4, *[None] * 5, 4])
    assert scores.figures["J mean"] == pytest.approx(90 / 110)
    assert scores.notes == ("neither truth nor result has sav_1/000 in a scored frame: left out",)


# Made with vos-benchmark 0.1.0 (whose program sav_evaluator.py adapts), each object as a video of its own.
@pytest.mark.parametrize(
    "truth, result, j, f",
    [
        ((None, 4, 4, 4, 4, 4, 4), (None, None, 4, 5, 6, None, 4), 49.69697, 51.0),
        ((4, None, None, 4, None, 4, 4), (4, None, 4, None, None, 6, 4), 41.66667, 38.75),
        ((4, 4, 4, 4, 4, 4, 4), (4, 8, 8, 8, 8, 8, 4), 42.85714, 45.0),
    ],
)
def test_sa_v_equals_the_public_evaluator(truth, result, j, f, tmp_path):
    figures = score_object(tmp_path, truth, result).figures
    assert (100 * figures["J mean"], 100 * figures["F mean"]) == pytest.approx((j, f), abs=1e-5)


def test_objects_of_sa_v_overlap_and_weigh_the_same_however_many_a_video_has(tmp_path):
    for video, number in (("sav_1", "000"), ("sav_1", "001"), ("sav_2", "000")):
        write_object(tmp_path / "data/Annotations_6fps" / video, number, [4] * 7)
        write_object(tmp_path / "results" / video, number, [4 if video == "sav_2" else 5] * 7)
    scores = score(tmp_path / "results", "sa_v", tmp_path / "data", workers=1)
    assert [row.name for row in scores.rows] == ["sav_1/000", "sav_1/001", "sav_2/000"]
    assert scores.figures["J mean"] == pytest.approx((2 * 90 / 110 + 1) / 3)
    assert not scores.complete and scores.protocol == "sav_evaluator"


def test_objects_of_youtube_vos_count_from_the_frame_after_they_enter(tmp_path):
    truth = [box(), box(), box() + 2 * box(left=20), box() + 2 * box(left=20), box() + 2 * box(left=20)]
    result = [box(), box(left=5), box(), box() + 2 * box(left=19), box()]
    write_masks(tmp_path / "data/train/Annotations/0a", truth, EVERY_FOURTH)
    write_masks(tmp_path / "results/0a", result, EVERY_FOURTH)
    first, second = score(tmp_path / "results", "youtube_vos", tmp_path / "data", workers=1).rows
    assert (first.name, first.frames) == ("0a_1", tuple(EVERY_FOURTH[1:5]))
    assert first.series["J"] == pytest.approx((90 / 110, 1, 1, 1))
    # In the frame in which it enters its mask is given; after that it is a pixel off, then missing.
    assert (second.name, second.frames) == ("0a_2", tuple(EVERY_FOURTH[3:5]))
    assert second.series["J"] == pytest.approx((90 / 110, 0))


def test_the_masks_of_youtube_vos_that_are_not_public_are_not_scored_against(tmp_path):
    write_masks(tmp_path / "data/valid/Annotations/0a", [box()])
    meta = '{"videos": {"0a": {"objects": {"1": {"frames": ["00000", "00005"]}}}}}'
    (tmp_path / "data/valid/meta.json").write_text(meta)
    write_masks(tmp_path / "results/0a", [box(), box()], ["00000", "00005"])
    with pytest.raises(UserError, match="not public, so only the server scores them"):
        score(tmp_path / "results", "youtube_vos", tmp_path / "data", split="valid", workers=1)


def test_the_zip_files_of_the_servers_have_their_layouts():
    assert {name: rules.zip_root for name, rules in BENCHMARKS.items() if rules.zip_root is not None} == {
        "davis2017": "",
        "davis2017_unsupervised": "",
        "youtube_vos": "Annotations",
    }
