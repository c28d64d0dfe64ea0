"""Temporal instability T: each of its steps against a slow obvious form, and the official tools' numbers."""

import math

import numpy as np
import pytest
from golden_files import load_json, load_npz
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from vos3d_jax.evaluation import metrics
from vos3d_jax.evaluation.metrics.contour_matching import cheapest_path, matched_cost
from vos3d_jax.evaluation.metrics.corner_grid import trace
from vos3d_jax.evaluation.metrics.shape_context import UNIT, matching_costs, sample, shape_context
from vos3d_jax.evaluation.metrics.simplification import simplify

VARIANTS = ("matlab", "python")
MASKS = hnp.arrays(bool, st.tuples(st.integers(1, 9), st.integers(1, 9)))
PAIRS = load_json("metrics/t_pairs.json")
PACKED = load_npz("metrics/t_masks.npz")


def golden_mask(name):
    height, width = PAIRS["masks"][name]
    return np.unpackbits(PACKED[name])[: height * width].reshape(height, width)


def box(top, left, height, width, size=(120, 160)):
    mask = np.zeros(size, np.uint8)
    mask[top : top + height, left : left + width] = 1
    return mask


def signed_area(curve):
    x, y = np.asarray(curve, float).T
    return float((x[:-1] * y[1:] - x[1:] * y[:-1]).sum()) / 2


@settings(max_examples=100, deadline=None)
@given(MASKS)
def test_curves_enclose_every_pixel_once_and_run_along_every_border_element_once(mask):
    curves, holes = trace(mask)
    area = sum(
        abs(signed_area(curve)) * (-1 if hole else 1) for curve, hole in zip(curves, holes, strict=True)
    )
    assert area / 4 == mask.sum()
    elements = [
        tuple(point) for curve in curves for point in ((curve[1:] + curve[:-1]) / 2).astype(int).tolist()
    ]
    padded = np.pad(mask, 1)
    differing = (padded[1:] != padded[:-1]).sum() + (padded[:, 1:] != padded[:, :-1]).sum()
    assert len(elements) == len(set(elements)) == differing


@settings(max_examples=50, deadline=None)
@given(MASKS)
def test_no_curve_passes_a_corner_twice_and_all_are_closed(mask):
    for curve in trace(mask)[0]:
        points = list(map(tuple, curve.tolist()))
        assert points[0] == points[-1]
        assert len(set(points)) == len(points) - 1


def slow_simplify(points, tolerance):
    """One call a part, as the original has it."""
    if len(points) < 3:
        return points
    kept = [points[0]]
    for point in points[1:-1]:
        if sum((a - b) ** 2 for a, b in zip(point, kept[-1], strict=True)) >= tolerance**2:
            kept.append(point)
    kept.append(points[-1])

    def squared(point, first, last):
        along, offset = np.subtract(last, first, dtype=float), np.subtract(point, first, dtype=float)
        product, length = offset @ along, along @ along
        if product <= 0:
            foot = np.array(first, float)
        elif product >= length:
            foot = np.array(last, float)
        else:
            foot = first + float(np.float32(product) / np.float32(length)) * along
        return float(((point - foot) ** 2).sum())

    def part(i, j):
        if j - i < 2:
            return []
        distances = [squared(kept[k], kept[i], kept[j]) for k in range(i + 1, j)]
        largest = max(distances)
        if largest <= tolerance**2:
            return []
        k = max(k for k, distance in enumerate(distances, i + 1) if distance == largest)
        return [*part(i, k), k, *part(k, j)]

    return [kept[k] for k in (0, *part(0, len(kept) - 1), len(kept) - 1)]


@settings(max_examples=40, deadline=None)
@given(MASKS, st.sampled_from([0.1, 3.0]))
def test_simplification_of_all_curves_at_once_equals_the_recursive_one(mask, tolerance):
    curves = trace(np.kron(mask, np.ones((2, 3), bool)))[0]
    expected = [slow_simplify(curve.tolist(), tolerance) for curve in curves]
    assert [curve.tolist() for curve in simplify(curves, tolerance)] == expected


@pytest.mark.parametrize("name", PAIRS["masks"])
def test_polygons_equal_the_official_ones(name):
    stored = PAIRS["polygons"][name]
    found = metrics.outlines(golden_mask(name))
    assert [outline.is_hole for outline in found] == stored["is_hole"]
    for outline, expected in zip(found, stored["contours"], strict=True):
        points = outline.points[:, ::-1]
        if isinstance(expected, list):
            assert points.tolist() == expected
        else:
            summary = dict(points=len(points), first=points[0], second=points[1], sum=points.sum(0))
            assert {key: np.asarray(value).tolist() for key, value in summary.items()} == expected


def slow_counts(samples, variant):
    """The histograms of section 6.5, pair by pair."""
    mean = np.mean([[math.dist(a, b) for b in samples] for a in samples])
    counts = np.zeros((len(samples), 60), int)
    for i, a in enumerate(samples):
        for b in samples:
            ring = sum(edge > math.dist(a, b) / mean for edge in (0.125, 0.25, 0.5, 1, 2))
            angle = math.atan2(b[1] - a[1], b[0] - a[0])
            angle = math.fmod(math.fmod(angle, 2 * math.pi) + 2 * math.pi, 2 * math.pi)
            if ring:
                counts[i, (ring - 1) * 12 + math.floor(angle / (math.pi / 6)) % 12] += 1
    return counts


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("name", ["box_rot", "ell_a", "star", "box4"])
def test_shape_contexts_equal_the_definition_sample_by_sample(name, variant):
    points = metrics.outlines(golden_mask(name))[0].points
    found = shape_context(points, variant)
    samples = found.samples.astype(float).tolist()
    assert (found.counts == slow_counts(samples, variant)).all()


@pytest.mark.parametrize("variant, dtype", [("matlab", np.float64), ("python", np.float32)])
def test_samples_are_at_most_three_pixels_apart_and_keep_the_corners(variant, dtype):
    points = np.array([[0, 0], [0, 10], [2, 10], [7, 3], [0, 0]], float)
    samples = sample(points, variant)
    assert samples.dtype == dtype
    assert np.linalg.norm(np.diff(samples, axis=0), axis=1).max() <= 3 + 1e-6
    ordered = samples[:, ::-1] if variant == "python" else samples
    assert all((ordered == point).all(1).any() for point in points)
    assert len(samples) == 1 + 4 + 1 + 3 + 3


@pytest.mark.parametrize("pair", [("star", "ell_a"), ("ell_a", "star"), ("box4", "ell_a"), ("star", "star")])
def test_costs_are_half_the_chi_squared_distance_of_the_histograms(pair):
    first, second = (metrics.outline_shape(golden_mask(name)) for name in pair)
    a, b = (shape.counts / shape.counts.sum(1, keepdims=True) for shape in (first, second))
    a, b = a[:, None], b[None]
    expected = 0.5 * ((a - b) ** 2 / (a + b + 2.0**-52)).sum(2)
    found = matching_costs(first, second)
    assert (found == np.rint(found)).all()
    np.testing.assert_allclose(found * UNIT, expected, rtol=0, atol=UNIT)


def whole(shapes, most):
    return hnp.arrays(np.float64, shapes, elements=st.integers(0, most).map(float))


SMALL = whole(st.tuples(st.integers(1, 7), st.integers(1, 7)), 9)
LARGE = st.tuples(st.integers(20, 60), st.integers(20, 60), st.integers(0, 2**31)).map(
    lambda given: np.random.default_rng(given[2]).integers(0, 200, given[:2]).astype(float)
)


@settings(max_examples=60, deadline=None)
@given(st.one_of(SMALL, LARGE))
def test_the_path_is_that_of_the_recursion_diagonal_steps_before_those_along_a_row(costs):
    best = np.zeros(costs.shape)
    for i, j in np.ndindex(costs.shape):
        before = [best[i - a, j - b] for a, b in ((1, 1), (0, 1), (1, 0)) if i >= a and j >= b]
        best[i, j] = min(before) + costs[i, j] if before else 0
    i, j = costs.shape[0] - 1, costs.shape[1] - 1
    path = [(i, j)]
    while i or j:
        steps = [(a, b) for a, b in ((1, 1), (0, 1), (1, 0)) if i >= a and j >= b]
        a, b = min(steps, key=lambda step, i=i, j=j: best[i - step[0], j - step[1]])
        i, j = i - a, j - b
        path.append((i, j))
    rows, columns = cheapest_path(costs)
    assert [*zip(rows.tolist(), columns.tolist(), strict=True)] == path


@settings(max_examples=40, deadline=None)
@given(whole(st.tuples(st.integers(2, 8), st.integers(2, 8)), 99))
def test_the_matched_cost_lies_between_the_cheapest_and_the_dearest_pair(costs):
    assert costs.min() <= matched_cost(costs) <= costs.max()


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("pair", PAIRS["pairs"], ids=lambda pair: f"{pair['a']}-{pair['b']}")
def test_t_of_a_pair_equals_the_official_tool(pair, variant):
    shapes = [metrics.outline_shape(golden_mask(pair[side]), variant) for side in "ab"]
    expected = pair[f"T_{variant}"]
    if expected is None:
        assert math.isnan(metrics.shape_change(*shapes))
        return
    if variant == "python":
        for side, shape in zip("ab", shapes, strict=True):
            assert len(shape.samples) == pair[f"samples_{side}"]
            assert shape.mean_distance == pytest.approx(pair[f"mean_distance_{side}"], abs=1e-10)
            assert shape.counts.sum() == pair[f"points_in_histogram_{side}"]
    tolerance = 0.02 if pair.get(f"tie_sensitive_{variant}") else 1e-12
    assert metrics.shape_change(*shapes) / 5 == pytest.approx(expected, abs=tolerance)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("masks", ["gt", "result"])
def test_t_of_a_real_sequence_equals_the_official_tool(masks, variant):
    golden, packed = load_json("metrics/sequence.json"), load_npz("metrics/sequence_car-shadow.npz")
    frames = np.unpackbits(packed[masks])[: math.prod(golden["shape"])].reshape(golden["shape"])
    truth = np.unpackbits(packed["gt"])[: frames[0].size].reshape(frames[0].shape)
    found = metrics.temporal_instability(frames[1:-1], variant, truth if variant == "matlab" else None)
    if variant == "matlab":
        assert len(found.values) == len(frames) - 2
        expected = [5 * np.array(golden["T"][f"{masks}_matlab_raw"])]
        if masks == "gt":
            expected.append(5 * np.array(golden["T"]["gt_matlab_official_raw"]))
    else:
        assert len(found.values) == len(frames) - 3
        expected = [np.array(golden["T"][f"{masks}_python"][1:-1], float)]
    for values in expected:
        np.testing.assert_allclose(found.values, values, rtol=0, atol=2e-3)
    assert (np.abs(found.values - expected[0]) > 1e-12).sum() <= 4  # ties of paths
    assert found.mean == pytest.approx(golden["T"][f"{masks}_{variant}_mean"], abs=1e-4)


def test_published_values_of_t_average_to_the_published_table_over_stable_sequences():
    values = load_npz("metrics/davis2016_published.npz")
    published = load_json("metrics/davis2016_published.json")
    ends = np.cumsum(values["frames_per_sequence"] - 2)
    for technique in ("osvos", "fst", "jmp", "gt"):
        sequences = np.split(values[f"{technique}_T"], ends[:-1])
        means = [5 * float(np.nanmean(sequence)) for sequence in sequences]
        np.testing.assert_allclose(means, published["per_sequence"][technique]["T_mean"], rtol=0, atol=1e-12)
        stable = [
            mean
            for name, mean in zip(published["sequences"], means, strict=True)
            if name in published["stable"]
        ]
        assert np.mean(stable) == pytest.approx(published["table"][technique]["T_stable"], abs=1e-6)
        assert np.mean(means) == pytest.approx(published["table"][technique]["T_all"], abs=1e-6)


@pytest.mark.parametrize("variant", VARIANTS)
def test_masks_are_taken_one_at_a_time_and_frames_without_outline_give_nan(variant):
    masks = iter([box(20, 20, 30, 40), np.zeros((120, 160), bool), box(20, 20, 30, 40), box(22, 20, 34, 40)])
    found = metrics.temporal_instability(masks, variant)
    assert np.isnan(found.values).tolist() == [True, True, False]
    assert found.mean == found.values[2] > 0


def test_a_sequence_without_pairs_has_no_values_and_nan_as_mean():
    found = metrics.temporal_instability([box(3, 3, 9, 9)])
    assert found.values.shape == (0,)
    assert math.isnan(found.mean)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 60), st.integers(0, 90), st.integers(0, 2**31), st.sampled_from(VARIANTS))
def test_t_does_not_see_a_translation(down, right, seed, variant):
    pattern = np.kron(np.random.default_rng(seed).random((5, 5)) < 0.6, np.ones((9, 9), bool))
    first, second = np.zeros((2, 120, 160), bool)
    first[5:50, 7:52] = pattern
    second[5 + down : 50 + down, 7 + right : 52 + right] = pattern
    shapes = [metrics.outline_shape(mask, variant) for mask in (first, second)]
    if shapes[0] is not None:
        assert metrics.shape_change(*shapes) == pytest.approx(0, abs=1e-12)
