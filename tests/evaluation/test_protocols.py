"""SegTrack, J-HMDB and JumpCut: their definitions, a slow obvious form, and ACT's frame-AP."""

import math

import numpy as np
import pytest
from golden_files import load_json, load_npz
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from vos3d_jax.evaluation import metrics

GOLDEN = load_json("metrics/other_protocols.json")
MASKS = load_npz("metrics/other_masks.npz")
VIDEOS = [(MASKS[f"result_{number}"], MASKS[f"gt_{number}"]) for number in range(3)]


def test_ious_of_merged_masks_and_of_objects_and_their_means_equal_the_golden_ones():
    merged, objects = [], []
    for (result, truth), stored in zip(VIDEOS, GOLDEN["iou"], strict=True):
        frames = list(zip(result, truth, strict=True))
        merged.append(metrics.merged_ious(frames))
        objects.append(metrics.object_ious(frames, len(stored["object_iou"])))
        assert merged[-1] == pytest.approx(stored["merged_iou"], abs=1e-6)
        np.testing.assert_allclose(objects[-1], stored["object_iou"], rtol=0, atol=1e-6)
    means = metrics.group_means(merged)
    per_object = metrics.group_means([[np.mean(values) for values in video] for video in objects])
    stored = GOLDEN["aggregates"]
    assert means.over_groups == pytest.approx(stored["segtrack_merged_mean_over_sequences"], abs=1e-6)
    assert means.over_all == pytest.approx(stored["segtrack_merged_mean_over_frames"], abs=1e-6)
    assert per_object.over_all == pytest.approx(stored["segtrack_objects_mean"], abs=1e-6)
    assert per_object.over_groups == pytest.approx(stored["segtrack_objects_then_sequences"], abs=1e-6)


def test_jumpcut_errors_and_their_means_equal_the_golden_ones():
    for case in GOLDEN["jumpcut"]:
        result, truth = (volume[case["key"] + case["d"]] for volume in VIDEOS[case["video"]])
        expected = math.nan if case["error_percent"] is None else case["error_percent"]
        assert metrics.jumpcut_error(result, truth) == pytest.approx(expected, abs=1e-6, nan_ok=True)
    for distance in (1, 2):
        clips = [
            [
                metrics.jumpcut_error(result[end], truth[end])
                for _, end in metrics.jumpcut_transfers(len(truth), distance, range(len(truth)))
            ]
            for result, truth in VIDEOS
        ]
        stored = GOLDEN["aggregates"][f"jumpcut_d{distance}_over_keys_then_videos"]
        assert metrics.group_means(clips).over_groups == pytest.approx(stored, abs=1e-6)


def test_jumpcut_runs_start_at_every_sixteenth_frame_and_end_inside_the_clip():
    assert metrics.jumpcut_transfers(33, 8) == [(0, 8), (16, 24)]
    assert metrics.jumpcut_transfers(200, 32) == [(key, key + 32) for key in range(0, 97, 16)]
    assert metrics.jumpcut_transfers(8, 8) == []


def test_means_of_nothing_are_nan_and_groups_without_values_do_not_count():
    assert all(math.isnan(value) for value in vars(metrics.group_means([[], [math.nan]])).values())
    assert metrics.group_means([[1.0, math.nan], [math.nan]]) == metrics.GroupMeans(1.0, 1.0)


@pytest.mark.parametrize("case", GOLDEN["frame_map"], ids=range(len(GOLDEN["frame_map"])))
def test_frame_map_equals_acts(case):
    table = np.array(case["detections"])
    classes = sorted({int(row["cls"]) for row in case["ground_truth"]})
    rows = {name: table[table[:, 2] == name] for name in classes}
    detections = {
        name: metrics.Detections(tuple(map(tuple, found[:, :2].astype(int))), found[:, 3], found[:, 4:])
        for name, found in rows.items()
    }
    truths = {
        name: {
            (row["video"], row["frame"]): np.array(row["boxes"])
            for row in case["ground_truth"]
            if row["cls"] == name
        }
        for name in classes
    }
    for threshold, expected in case["frame_map"].items():
        found, of_classes = metrics.frame_map(detections, truths, float(threshold))
        assert found == pytest.approx(expected, abs=1e-6)
        for name, value in case["ap"][threshold].items():
            assert of_classes[int(name)] == pytest.approx(value, abs=1e-6)


@pytest.mark.parametrize("case", GOLDEN["box_iou"])
def test_box_iou_equals_acts(case):
    found = metrics.box_iou(np.array(case["a"]), np.array([case["b"]]))
    assert found == pytest.approx(case["iou"], abs=1e-6)


@settings(max_examples=50, deadline=None)
@given(hnp.arrays(bool, st.tuples(st.integers(1, 8), st.integers(1, 8))))
def test_the_box_of_a_mask_is_tight_around_its_largest_region(mask):
    found = metrics.mask_box(mask)
    if not mask.any():
        assert found is None
        return
    left, top, right, bottom = found
    regions, seen = [], set()
    for start in map(tuple, np.argwhere(mask)):
        if start in seen:
            continue
        region, stack = [], [start]
        seen.add(start)
        while stack:
            y, x = stack.pop()
            region.append((y, x))
            for near in ((y + dy, x + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)):
                inside = 0 <= near[0] < mask.shape[0] and 0 <= near[1] < mask.shape[1]
                if inside and mask[near] and near not in seen:
                    seen.add(near)
                    stack.append(near)
        regions.append(region)
    size = max(map(len, regions))
    boxes = [
        (*np.min(region, 0)[::-1], *np.max(region, 0)[::-1]) for region in regions if len(region) == size
    ]
    assert (left, top, right, bottom) in [tuple(map(int, box)) for box in boxes]
