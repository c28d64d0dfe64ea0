"""Saliency measures against the definitions and PySODMetrics' numbers; 3DC-Seg's pooled figures."""

import math

import numpy as np
import pytest
from golden_files import load_json, load_npz
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from vos3d_jax.evaluation import metrics

GOLDEN = load_json("metrics/saliency.json")
MAPS = load_npz("metrics/saliency_maps.npz")
NAMES = {
    "MAE": "mae",
    "S": "s",
    "F_weighted": "weighted_f",
    "F_adaptive": "adaptive_f",
    "F_mean": "mean_f",
    "F_max": "max_f",
    "E_adaptive": "adaptive_e",
    "E_mean": "mean_e",
    "E_max": "max_e",
}
CURVES = {
    "F_curve": "f_curve",
    "E_curve": "e_curve",
    "precision_curve": "precision",
    "recall_curve": "recall",
}
IMAGES = st.tuples(st.integers(2, 6), st.integers(2, 6)).flatmap(
    lambda size: st.tuples(
        hnp.arrays(np.uint8, size), hnp.arrays(np.uint8, size, elements=st.sampled_from([0, 128, 129, 255]))
    )
)


def score(name):
    return metrics.image_saliency(MAPS[f"{name}_pred"], MAPS[f"{name}_gt"])


@pytest.mark.parametrize("case", GOLDEN["cases"], ids=lambda case: case["name"])
def test_measures_of_an_image_equal_pysodmetrics(case):
    found = score(case["name"])
    for name, ours in NAMES.items():
        tolerance = 1e-6 if name == "F_weighted" else 1e-9
        if case[name] is None:  # PySODMetrics is NaN here
            assert (case["name"], name) == ("gt_corner_pixel", "S")
            assert 0 <= found.s <= 1
        else:
            assert getattr(found, ours) == pytest.approx(case[name], abs=tolerance), name
    for name, ours in CURVES.items():
        np.testing.assert_allclose(
            getattr(found, ours)[case["curve_index"]], case[name], rtol=0, atol=1e-9, err_msg=name
        )
    best = int(np.argmax(found.f_curve))
    assert best == case["F_argmax_index"]
    assert found.precision[best] == pytest.approx(case["precision_max_index"], abs=1e-9)
    assert found.recall[best] == pytest.approx(case["recall_max_index"], abs=1e-9)


def test_measures_of_a_data_set_equal_pysodmetrics():
    stored = GOLDEN["dataset"]
    images = [score(name) for name in stored["images"]]
    found = metrics.mean_saliency(iter(images))
    for name in NAMES.keys() & stored.keys():
        assert getattr(found, NAMES[name]) == pytest.approx(stored[name], abs=1e-9), name
    assert np.mean([image.max_f for image in images]) == pytest.approx(stored["mean_of_per_image_max"])


def test_a_mean_of_no_images_is_refused():
    with pytest.raises(ValueError, match="no images"):
        metrics.mean_saliency([])


@settings(max_examples=60, deadline=None)
@given(IMAGES)
def test_curves_mae_and_e_equal_their_definitions_threshold_by_threshold(images):
    prediction, mask = images[0], images[1] > 128
    found = metrics.image_saliency(*images)
    p = prediction / 255
    if p.max() != p.min():
        p = (p - p.min()) / (p.max() - p.min())
    assert found.mae == pytest.approx(np.abs(p - mask).mean())
    levels = (p * 255).astype(np.uint8)
    for index in (0, 1, 100, 254, 255):
        binary = levels >= 255 - index
        true = (binary & mask).sum()
        precision, recall = true / max(binary.sum(), 1), true / max(mask.sum(), 1)
        f = 1.3 * precision * recall / (0.3 * precision + recall) if true else 0
        assert (found.precision[index], found.recall[index], found.f_curve[index]) == pytest.approx(
            (precision, recall, f)
        )
        if not mask.any():
            aligned = ~binary
        elif mask.all():
            aligned = binary
        else:
            a, b = binary - binary.mean(), mask - mask.mean()
            aligned = (2 * a * b / (a**2 + b**2 + np.spacing(1)) + 1) ** 2 / 4
        assert found.e_curve[index] == pytest.approx(aligned.sum() / (mask.size - 1), abs=1e-9)


@settings(max_examples=40, deadline=None)
@given(IMAGES)
def test_all_measures_are_finite_and_flipping_both_maps_leaves_those_without_place_alone(images):
    found = metrics.image_saliency(*images)
    flipped = metrics.image_saliency(*(image[::-1].copy() for image in images))
    for value in vars(found).values():
        assert np.isfinite(value).all()
    for name in ("mae", "adaptive_f", "adaptive_e", "f_curve", "e_curve"):
        assert getattr(found, name) == pytest.approx(getattr(flipped, name))


def pooled_frames():
    for index in range(3):
        sequence = load_npz(f"metrics/saliency_pooled_{index}.npz")
        yield list(zip(sequence["probability"], sequence["gt"], strict=True))


def test_pooled_f_and_mae_equal_3dc_segs_evaluation():
    stored, sequences = GOLDEN["pooled_3dcseg"], list(pooled_frames())
    found = metrics.pooled_saliency(lambda: (frame for frames in sequences for frame in frames))
    assert found.max_f == pytest.approx(stored["f_max_pooled"], abs=1e-6)
    assert found.max_f == pytest.approx(stored["f_max_pooled_nanmax"], abs=1e-6)
    assert found.mae == pytest.approx(stored["mae_pooled"], abs=1e-6)
    logs = [metrics.sequence_log(frames) for frames in sequences]
    for log, expected in zip(logs, stored["sequences"], strict=True):
        assert (log.iou, log.f, log.mae) == pytest.approx(
            (expected["iou"], expected["f_binary"], expected["mae"]), abs=1e-6
        )
    means = [np.mean([getattr(log, name) for log in logs]) for name in ("iou", "f", "mae")]
    names = ("iou_mean", "f_binary_mean_of_sequences", "mae_mean_of_sequences")
    assert means == pytest.approx([stored[name] for name in names], abs=1e-6)


def slow_pooled_f(probability, truth):
    best = 0.0
    for threshold in np.unique(probability):
        found = probability >= threshold
        true = (found & truth).sum()
        if true:
            precision, recall = true / found.sum(), true / truth.sum()
            best = max(best, 2 * precision * recall / (precision + recall))
    return best


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**31), st.sampled_from([1.0, 1e-3, 1e-6]))
def test_pooled_f_is_exact_even_when_scores_share_their_bin(seed, spread):
    random = np.random.default_rng(seed)
    truth = random.random((3, 8, 9)) < 0.4
    probability = np.float32(0.5) + (random.random(truth.shape) * spread * 0.5).astype(np.float32)
    probability[0] = np.minimum(probability[0] + truth[0] * np.float32(spread / 8), 1)
    found = metrics.pooled_saliency(lambda: zip(probability, truth, strict=True))
    assert found.max_f == pytest.approx(slow_pooled_f(probability, truth), abs=1e-12)
    assert found.mae == pytest.approx(np.abs(probability.astype(float) - truth).mean(), abs=1e-7)


def test_many_bins_that_could_hold_the_best_threshold_are_looked_into_in_turn():
    # In every bin, the foreground has the higher scores: each could be the best until it is looked into.
    bins = np.arange(600, dtype=np.uint32) + (np.float32(0.25).view(np.uint32) >> 12)
    low, high = (((bins << 12) + lower).view(np.float32) for lower in (np.uint32(1), np.uint32(9)))
    probability = np.stack([low, high])
    truth = np.stack([np.zeros(600, bool), np.ones(600, bool)])
    found = metrics.pooled_saliency(lambda: [(probability, truth)])
    assert found.max_f == pytest.approx(slow_pooled_f(probability, truth), abs=1e-12)


def test_pooling_refuses_what_is_no_probability_and_says_nothing_about_f_without_foreground():
    frame, empty = np.full((2, 3), 0.5, np.float32), np.zeros((2, 3), bool)
    found = metrics.pooled_saliency(lambda: [(frame, empty)])
    assert math.isnan(found.max_f)
    assert found.mae == 0.5
    for wrong in (frame * 3, frame * np.nan):
        with pytest.raises(ValueError, match="0 to 1"):
            metrics.pooled_saliency(lambda wrong=wrong: [(wrong, empty)])
    for nothing in (lambda: metrics.pooled_saliency(lambda: []), lambda: metrics.sequence_log([])):
        with pytest.raises(ValueError, match="there are no"):
            nothing()
