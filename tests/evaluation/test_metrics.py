"""J, F and their statistics: laws, a slow obvious implementation, and the official tools' numbers."""

import math

import numpy as np
import pytest
from golden_files import load_json, load_npz
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from jaxtyping import TypeCheckError

from vos3d_jax.evaluation import metrics
from vos3d_jax.evaluation.metrics import bitmaps

SIZES = st.one_of(
    st.tuples(st.integers(1, 8), st.integers(1, 9)), st.just((2, 140)), st.just((140, 3)), st.just((1, 260))
)


@st.composite
def triples(draw):
    size = draw(SIZES)
    fill = st.sampled_from([0, 0, 1])
    return tuple(draw(hnp.arrays(np.uint8, size, elements=fill, fill=st.integers(0, 1))) for _ in range(3))


def slow_boundary(mask):
    height, width = mask.shape
    found = set()
    for y in range(height):
        for x in range(width):
            for dy, dx in ((0, 1), (1, 0), (1, 1)):
                if y + dy < height and x + dx < width and mask[y, x] != mask[y + dy, x + dx]:
                    found.add((y, x))
    return found


def slow_boundary_f(mask, truth, void):
    mask, truth = (np.where(void, 0, m) != 0 for m in (mask, truth))
    radius = math.ceil(0.008 * math.hypot(*mask.shape))
    edge, true_edge = slow_boundary(mask), slow_boundary(truth)

    def near(point, others):
        return any((point[0] - y) ** 2 + (point[1] - x) ** 2 <= radius**2 for y, x in others)

    if not edge and not true_edge:
        return 1.0
    if not edge or not true_edge:
        return 0.0
    precision = sum(near(p, true_edge) for p in edge) / len(edge)
    recall = sum(near(p, edge) for p in true_edge) / len(true_edge)
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


@settings(max_examples=60, deadline=None)
@given(triples())
def test_f_equals_the_slow_obvious_implementation(masks):
    mask, truth, void = masks
    assert metrics.boundary_f(mask, truth, void) == pytest.approx(
        slow_boundary_f(mask, truth, void), abs=1e-14
    )


@settings(max_examples=60, deadline=None)
@given(triples())
def test_j_equals_counting_pixels_one_by_one(masks):
    mask, truth, void = masks
    pairs = [(m, t) for m, t, v in zip(mask.flat, truth.flat, void.flat, strict=True) if not v]
    union = sum(bool(m or t) for m, t in pairs)
    expected = sum(bool(m and t) for m, t in pairs) / union if union else 1.0
    assert metrics.region_similarity(mask, truth, void) == expected


@settings(max_examples=30, deadline=None)
@given(triples())
def test_j_and_f_at_once_are_j_and_f(masks):
    expected = metrics.region_similarity(*masks), metrics.boundary_f(*masks)
    assert metrics.j_and_f(*masks) == expected


@pytest.mark.parametrize("radius", [1, 2, 3, 8, 18, 63, 71])
def test_dilation_of_bits_reaches_exactly_the_pixels_of_the_disk(radius):
    mask = np.random.default_rng(radius).random((40, 200)) < 0.002
    rows, columns = np.indices(mask.shape)
    near = np.zeros_like(mask)
    for y, x in np.argwhere(mask):
        near |= (rows - y) ** 2 + (columns - x) ** 2 <= radius**2
    bits = bitmaps.dilate(bitmaps.pack([mask, ~mask, np.zeros_like(mask)], radius), radius)
    assert (bitmaps.unpack(bits[0], 200) == near).all()
    assert bitmaps.unpack(bits[1], 200).all()
    assert not bits[2].any()


@settings(max_examples=60, deadline=None)
@given(triples())
def test_j_and_f_do_not_care_which_mask_is_the_truth_nor_about_transposing(masks):
    mask, truth, void = masks
    for metric in (metrics.region_similarity, metrics.boundary_f):
        value = metric(mask, truth, void)
        assert 0 <= value <= 1
        assert metric(truth, mask, void) == pytest.approx(value, abs=1e-15)
        assert metric(mask.T, truth.T, void.T) == pytest.approx(value, abs=1e-15)


@settings(max_examples=30, deadline=None)
@given(triples())
def test_j_survives_flips_and_a_mask_agrees_with_itself(masks):
    mask, truth, void = masks
    value = metrics.region_similarity(mask, truth, void)
    assert metrics.region_similarity(mask[::-1], truth[::-1], void[::-1]) == value
    assert metrics.region_similarity(mask[:, ::-1], truth[:, ::-1], void[:, ::-1]) == value
    assert metrics.region_similarity(mask, mask, void) == 1
    assert metrics.boundary_f(mask, mask, void) == 1


def test_full_against_empty_has_j_zero_but_f_one_because_neither_has_a_boundary():
    full, empty = np.ones((5, 6), np.uint8), np.zeros((5, 6), np.uint8)
    assert metrics.region_similarity(full, empty) == 0
    assert metrics.boundary_f(full, empty) == 1
    assert metrics.region_similarity(empty, empty) == metrics.boundary_f(empty, empty) == 1


def test_one_empty_mask_gives_f_zero_and_not_nan():
    one = np.zeros((9, 9), np.uint8)
    one[4, 4] = 1
    assert metrics.boundary_f(one, np.zeros_like(one)) == 0
    assert metrics.boundary_f(np.zeros_like(one), one) == 0


@pytest.mark.parametrize("pixel, count", [((4, 4), 4), ((0, 0), 1), ((7, 8), 3)])
def test_a_lone_pixel_has_as_many_boundary_pixels_as_the_official_rule_gives(pixel, count):
    mask = np.zeros((8, 9), bool)
    mask[pixel] = True
    assert metrics.boundary_map(mask).sum() == count


@pytest.mark.parametrize(
    "size, radius", [((480, 854), 8), ((480, 910), 9), ((240, 427), 4), ((1080, 1920), 18)]
)
def test_the_radius_follows_the_whole_image(size, radius):
    assert metrics.boundary_radius(*size) == radius


def test_foreground_is_whatever_is_not_zero():
    truth = np.array([[0, 255], [7, 0]], np.uint8)
    assert metrics.region_similarity((truth > 0).astype(np.int64) * 3, truth) == 1


def test_masks_of_different_sizes_are_refused():
    with pytest.raises((ValueError, TypeCheckError)):
        metrics.region_counts(np.zeros((3, 4), bool), np.zeros((3, 5), bool))


@pytest.mark.parametrize("cases, masks", [("jf_pairs", "jf_masks"), ("edge_cases", "edge_masks")])
def test_j_and_f_equal_the_official_tools(cases, masks):
    stored, packed = load_json(f"metrics/{cases}.json"), load_npz(f"metrics/{masks}.npz")

    def mask(name):
        height, width = stored["masks"][name]
        return np.unpackbits(packed[name])[: height * width].reshape(height, width)

    for case in stored["cases"]:
        arguments = mask(case["pred"]), mask(case["gt"]), mask(case["void"]) if case["void"] else None
        counts = metrics.boundary_counts(*arguments)
        assert metrics.region_counts(*arguments) == (case["intersection"], case["union"]), case["name"]
        assert counts == metrics.BoundaryCounts(
            radius=case["radius"],
            mask=case["boundary_pixels_pred"],
            truth=case["boundary_pixels_gt"],
            matched_mask=case["matched_pred"],
            matched_truth=case["matched_gt"],
        ), case["name"]
        assert metrics.region_similarity(*arguments) == pytest.approx(case["J"], abs=1e-12), case["name"]
        assert metrics.boundary_f(*arguments) == pytest.approx(case["F"], abs=1e-12), case["name"]
        assert metrics.j_and_f(*arguments) == pytest.approx((case["J"], case["F"]), abs=1e-12), case["name"]


def test_statistics_equal_the_official_tool_with_wide_quarter_edges():
    for case in load_json("metrics/statistics.json"):
        values = [math.nan if value is None else value for value in case["values"]]
        found = metrics.statistics(values, nan_recall="counted")
        decay = case["decay_wide_index"] if case["kind"] == "random" else case["decay"]
        for value, expected in (
            (found.mean, case["mean"]),
            (found.recall, case["recall"]),
            (found.decay, decay),
        ):
            expected = math.nan if expected is None else expected
            assert value == pytest.approx(expected, abs=1e-12, nan_ok=True), (case["kind"], len(values))


def test_decay_with_8_bit_edges_is_the_official_tools_defect_from_256_values_on():
    for case in load_json("metrics/statistics.json"):
        if case["kind"] == "random":
            found = metrics.statistics(case["values"], decay_edges="8-bit").decay
            expected = case["decay_official_uint8"]
            assert found == pytest.approx(math.nan if expected is None else expected, abs=1e-12, nan_ok=True)
            padded = case["toolkit2016_on_padded"]
            if len(case["values"]) < 250 and None not in padded:
                ours = metrics.statistics(case["values"])
                assert [ours.mean, ours.recall, ours.decay] == pytest.approx(padded, abs=1e-12)


def test_nan_is_left_out_of_recall_unless_it_is_counted_like_the_official_tool_does():
    values = [0.9, math.nan, 0.2, math.nan]
    assert metrics.statistics(values).recall == 0.5
    assert metrics.statistics(values, nan_recall="counted").recall == 0.25
    assert math.isnan(metrics.statistics([math.nan]).recall)
    assert metrics.statistics([math.nan], nan_recall="counted").recall == 0


def test_statistics_of_published_per_frame_values_are_the_published_statistics():
    values, published = (
        load_npz("metrics/davis2016_published.npz"),
        load_json("metrics/davis2016_published.json"),
    )
    ends = np.cumsum(values["frames_per_sequence"] - 2)
    for technique in ("osvos", "fst", "jmp"):
        for metric in "JF":
            sequences = np.split(values[f"{technique}_{metric}"], ends[:-1])
            found = [metrics.statistics(sequence) for sequence in sequences]
            stored = published["per_sequence"][technique]
            for name in ("mean", "recall", "decay"):
                ours = [getattr(one, name) for one in found]
                np.testing.assert_allclose(ours, stored[f"{metric}_{name}"], rtol=0, atol=1e-12)
                table = published["table"][technique][f"{metric}_{name}"]
                assert np.mean(ours) == pytest.approx(table, abs=1e-6)


def test_a_single_value_has_no_decay_and_no_values_give_nan():
    assert metrics.statistics([0.4]) == metrics.Statistics(0.4, 0.0, 0.0)
    assert all(math.isnan(value) for value in vars(metrics.statistics([])).values())


def test_means_over_sequences_and_over_objects_are_two_conventions():
    one, two, three = (metrics.Statistics(value, value, value) for value in (0.9, 0.6, 0.3))
    assert metrics.mean_over_objects([[one], [two, three]]).mean == pytest.approx(0.6)
    assert metrics.mean_over_sequences([[one], [two, three]]).mean == pytest.approx(0.675)


@pytest.mark.parametrize("protocol, inner", [("all_frames", 0), ("without_first_and_last", 1)])
def test_means_over_sequences_equal_the_official_tool_under_both_frame_protocols(protocol, inner):
    stored, values = (
        load_json("metrics/davis2016_osvos_rvos.json"),
        load_npz("metrics/davis2016_osvos_rvos.npz"),
    )
    ends = np.cumsum(values["frames"])
    for technique in ("osvos", "rvos"):
        expected = stored["techniques"][technique][protocol]
        for metric in "JF":
            sequences = np.split(values[f"{technique}_{metric}"], ends[:-1])
            sequences = [sequence[inner : sequence.size - inner] for sequence in sequences]
            rows = [[metrics.statistics(sequence)] for sequence in sequences]
            found = metrics.mean_over_sequences(rows)
            assert [found.mean, found.recall, found.decay] == pytest.approx(expected[metric], abs=1e-12)
            assert np.concatenate(sequences).mean() == pytest.approx(
                expected[f"{metric}_mean_over_frames"], abs=1e-12
            )


@pytest.mark.parametrize("task", ["davis2016_val_single_object", "davis2017_val_multi_object"])
def test_means_over_objects_of_rgmps_released_results_are_its_published_ones(task):
    released = load_json("rgmp/released_results.json")[task]
    for metric in "JF":
        rows = []
        for sequence in released["sequences"].values():
            objects = zip(sequence[metric]["mean"], sequence[metric]["decay"], strict=True)
            rows.append([metrics.Statistics(mean, math.nan, decay) for mean, decay in objects])
        found = metrics.mean_over_objects(rows)
        for name in ("mean", "decay"):
            # Released to four decimals an object, five for the data set.
            assert getattr(found, name) == pytest.approx(released["dataset"][metric][name], abs=6e-5)
