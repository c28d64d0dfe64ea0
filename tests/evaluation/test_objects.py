"""J and F of several objects: both DAVIS-2017 tasks against a slow obvious form and the official tool."""

import itertools

import numpy as np
import pytest
from golden_files import load_json, load_npz
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from vos3d_jax.bench import plain_metrics
from vos3d_jax.evaluation import metrics

CASES = load_json("metrics/multi_object.json")
VOLUMES = load_npz("metrics/multi_object_masks.npz")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_scores_of_objects_equal_the_official_tool(case):
    truth, result = VOLUMES[case["gt"]], VOLUMES[case["result"]]
    objects = metrics.object_count(truth[0])
    assert objects == case["n_gt"]
    if case["task"] == "semi-supervised":
        found = metrics.semi_supervised(zip(result[1:-1], truth[1:-1], strict=True), objects)
        assert [one.proposal_id for one in found] == list(range(1, objects + 1))
    else:
        frames = list(zip(result, truth, strict=True))
        found = metrics.unsupervised(frames, objects, official_order=True)
        assert [one.object_id - 1 for one in found] == case["assignment_cols"]
        sorted_ones = metrics.unsupervised(frames, objects)
        assert [one.object_id for one in sorted_ones] == list(range(1, objects + 1))
        assert set(sorted_ones) == set(found)
        tables = [
            metrics.pair_scores(r, t, len(case["pair_scores"]), objects, void=t == 255) for r, t in frames
        ]
        pairs = np.mean([(j + f) / 2 for j, f in tables], axis=0)
        np.testing.assert_allclose(pairs, case["pair_scores"], rtol=0, atol=1e-11)  # stored to 12 decimals
    assert len(found) == len(case["objects"])
    for ours, official in zip(found, case["objects"], strict=True):
        assert ours.j_frames == pytest.approx(official["J"], abs=1e-12)
        assert ours.f_frames == pytest.approx(official["F"], abs=1e-12)
        assert list(vars(ours.j).values()) == pytest.approx(official["J_stat"], abs=1e-12)
        assert list(vars(ours.f).values()) == pytest.approx(official["F_stat"], abs=1e-12)
    j, f = (metrics.mean_over_objects([[getattr(one, name) for one in found]]).mean for name in "jf")
    assert (j, f, (j + f) / 2) == pytest.approx((case["J_mean"], case["F_mean"], case["JF_mean"]), abs=1e-12)


@st.composite
def volumes(draw):
    size = draw(st.tuples(st.integers(1, 3), st.integers(2, 7), st.integers(2, 7)))
    result = draw(hnp.arrays(np.uint8, size, elements=st.sampled_from([0, 1, 2, 3, 4])))
    truth = draw(hnp.arrays(np.uint8, size, elements=st.sampled_from([0, 1, 2, 3, 255])))
    return result, truth


@settings(max_examples=40, deadline=None)
@given(volumes())
def test_every_pair_equals_j_and_f_of_its_two_masks(pair):
    result, truth = pair[0][0], pair[1][0]
    void = truth == 255
    j, f = metrics.pair_scores(result, truth, 5, 3, void)
    for p, k in np.ndindex(5, 3):
        expected = metrics.j_and_f(result == p + 1, truth == k + 1, void)
        assert (j[p, k], f[p, k]) == expected


@st.composite
def scattered(draw):
    """Ids 1 to 3 as small boxes anywhere in a wide image, across borders of it and of 64 pixels."""
    height, width = draw(st.integers(20, 60)), draw(st.integers(100, 280))
    ids = np.zeros((height, width), np.uint8)
    for label in draw(st.lists(st.integers(1, 3), max_size=4)):
        top, left = draw(st.integers(0, height - 1)), draw(st.integers(0, width - 1))
        ids[top : top + draw(st.integers(1, 12)), left : left + draw(st.integers(1, 80))] = label
    return ids


@settings(max_examples=25, deadline=None)
@given(scattered(), st.integers(-9, 9), st.integers(-70, 70))
def test_the_windows_around_objects_change_nothing(truth, down, right):
    result = np.roll(truth, (down, right), (0, 1))
    pairs = {(p, k): plain_metrics.j_and_f(result == p, truth == k) for p in range(1, 4) for k in range(1, 4)}
    for found in metrics.semi_supervised([(result, truth)], 3):
        expected = pairs[found.object_id, found.object_id]
        assert (*found.j_frames, *found.f_frames) == pytest.approx(expected, abs=1e-12)
    j, f = metrics.pair_scores(result, truth, 3, 3)
    for (p, k), expected in pairs.items():
        assert (j[p - 1, k - 1], f[p - 1, k - 1]) == pytest.approx(expected, abs=1e-12)


@settings(max_examples=40, deadline=None)
@given(volumes(), st.permutations([1, 2, 3, 128, 254]))
def test_each_id_that_occurs_is_scored_from_the_frame_after_it_enters(pair, names):
    result, truth = (np.where(ids == 4, 0, ids) for ids in pair)
    names = np.array([0, *names[:3], *[255] * 252], np.uint8)  # ids with gaps, in any order
    result, truth = names[np.where(result == 255, 0, result)], names[truth]
    occurring = set(truth.ravel().tolist()) - {0, 255}
    result = np.where(np.isin(result, list(occurring)), result, 0).astype(np.uint8)
    found = metrics.entering(zip(result[1:], truth[1:], strict=True), truth[0])
    assert [one.object_id for one in found] == sorted(occurring)
    for one in found:
        k = one.object_id
        start = 1 + next(index for index, ids in enumerate(truth) if (ids == k).any())
        expected = [plain_metrics.j_and_f(r == k, t == k) for r, t in zip(result, truth, strict=True)][start:]
        values = list(zip(one.j_frames, one.f_frames, strict=True))
        np.testing.assert_allclose(values, expected, rtol=0, atol=1e-12)
        assert one.proposal_id == k


@settings(max_examples=20, deadline=None)
@given(volumes())
def test_objects_that_are_all_there_at_first_score_as_in_davis_2017(pair):
    result, truth = pair
    truth[0].ravel()[:3], result = range(1, 4)[: truth[0].size], np.where(result == 4, 0, result)
    frames = list(zip(result, truth, strict=True))
    assert metrics.entering(frames, truth[0]) == metrics.semi_supervised(frames, 3)


@pytest.mark.parametrize("wrong", [3, 255])
def test_an_id_that_the_truth_never_has_is_refused(wrong):
    truth, result = np.array([[0, 1], [2, 0]], np.uint8), np.array([[0, 1], [wrong, 0]], np.uint8)
    with pytest.raises(
        ValueError, match=f"bear has the object id {wrong} but those of the true masks are 1, 2"
    ):
        metrics.entering([(result, truth)], truth, "bear")


@settings(max_examples=40, deadline=None)
@given(volumes())
def test_the_assignment_is_the_best_of_all_and_no_more_empty_proposals_compete_than_officially(pair):
    result, truth = pair
    objects = metrics.object_count(truth[0])
    found = metrics.unsupervised(zip(result, truth, strict=True), objects)
    proposals = max(objects, int(result.max()))
    tables = [
        metrics.pair_scores(r, t, proposals, objects, t == 255) for r, t in zip(result, truth, strict=True)
    ]
    scores = np.mean([(j + f) / 2 for j, f in tables], axis=0)
    best = max(
        sum(scores[p, k] for k, p in enumerate(chosen))
        for chosen in itertools.permutations(range(proposals), objects)
    )
    assert sum(np.mean(one.j_frames) / 2 + np.mean(one.f_frames) / 2 for one in found) == pytest.approx(best)
    assert len({one.proposal_id for one in found}) == objects


@settings(max_examples=30, deadline=None)
@given(volumes(), st.permutations([1, 2, 3, 4]))
def test_renaming_the_proposals_changes_no_unsupervised_mean(pair, names):
    result, truth = pair
    # All four ids must be there in both, as the largest one decides how many proposals compete.
    result = np.concatenate([result, np.resize(np.arange(1, 5, dtype=np.uint8), result[:1].shape)])
    truth = np.concatenate([truth, truth[:1]])
    renamed = np.array([0, *names], np.uint8)[result]
    objects = metrics.object_count(truth[0])
    totals = [
        sum(sum(one.j_frames) + sum(one.f_frames) for one in metrics.unsupervised(frames, objects))
        for frames in (list(zip(volume, truth, strict=True)) for volume in (result, renamed))
    ]
    assert totals[0] == pytest.approx(totals[1])
