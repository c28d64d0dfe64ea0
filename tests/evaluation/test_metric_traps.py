"""Traps that implementations of these metrics have fallen into, each by its number."""

import functools
import math

import numpy as np
import pytest
from golden_files import load_json, load_npz
from jaxtyping import TypeCheckError

from vos3d_jax.data.video import Video
from vos3d_jax.evaluation import benchmarks, metrics
from vos3d_jax.evaluation.scoring import score
from vos3d_jax.media.masks import write_palette_png

EMPTY, FULL = np.zeros((48, 64), np.uint8), np.ones((48, 64), np.uint8)
VARIANTS = ("matlab", "python")


def pixels(*places, size=(48, 64)):
    mask = np.zeros(size, np.uint8)
    for place in places:
        mask[place] = 1
    return mask


def box(top=10, left=12, height=20, width=24, size=(48, 64)):
    return pixels((slice(top, top + height), slice(left, left + width)), size=size)


def video_of(length):
    names = tuple(f"{index:05d}" for index in range(length))
    frame = np.zeros((48, 64, 3), np.uint8)
    return Video("bear", length, lambda index: frame, lambda index: box(), (48, 64), names)


def t_of(first, second, variant="matlab"):
    return metrics.shape_change(metrics.outline_shape(first, variant), metrics.outline_shape(second, variant))


def test_trap_1_empty_and_full_masks():
    assert metrics.j_and_f(EMPTY, EMPTY) == (1, 1)
    assert metrics.j_and_f(FULL, EMPTY) == (0, 1)  # neither has a boundary
    assert metrics.j_and_f(FULL, FULL) == (1, 1)


def test_trap_2_one_empty_mask_gives_f_zero_and_not_nan():
    assert metrics.boundary_f(box(), EMPTY) == 0
    assert metrics.boundary_f(EMPTY, box()) == 0


def test_trap_3_the_boundary_ignores_the_outside_of_the_image():
    assert not metrics.boundary_map(FULL).any()
    edge = metrics.boundary_map(pixels((slice(30, 48), slice(40, 64))))
    assert edge[29:, 39].all() and edge[29, 39:].all()
    assert edge.sum() == 19 + 24  # none along the border of the image
    for place, count in (((4, 4), 4), ((0, 0), 1), ((47, 63), 3)):
        edge = metrics.boundary_map(pixels(place))
        assert edge.sum() == count
        assert not edge[-1, -1]


def test_trap_4_the_radius_is_a_ceiling_of_the_whole_diagonal_and_cropping_cannot_change_it():
    assert metrics.boundary_radius(480, 854) == 8
    small = box(size=(480, 854)), box(left=19, size=(480, 854))
    assert metrics.boundary_counts(*small).radius == 8
    assert metrics.boundary_f(*small) == 1  # 7 apart, although the objects are small
    assert metrics.boundary_f(box(), box(left=19)) < 0.7


def test_trap_5_points_exactly_at_the_radius_are_within_it():
    cases = {case["name"]: case for case in load_json("metrics/jf_pairs.json")["cases"]}
    for shift, expected in ((7, 0.99125), (8, 0.98125), (9, 0.0425)):
        assert cases[f"square_shift_{shift}"]["F"] == pytest.approx(expected)  # met in test_metrics
    first, second = pixels((100, 100), size=(480, 854)), pixels((100, 108), size=(480, 854))
    assert metrics.boundary_f(first, second) == 1
    assert metrics.boundary_f(first, pixels((100, 110), size=(480, 854))) == 0


def test_trap_6_void_is_emptied_in_both_masks_and_does_not_count():
    void = pixels((slice(0, 48), slice(30, 64)))
    assert metrics.region_similarity(box(), box(width=18), void) == 1
    assert metrics.region_similarity(FULL, EMPTY, FULL) == 1
    assert metrics.boundary_f(box(), box(width=18), void) == 1
    # The outline of void becomes a boundary where an object goes on under it.
    assert metrics.boundary_counts(box(), box(), void).mask > 0
    labels = np.where(void, np.uint8(255), box())
    (semi,) = metrics.semi_supervised([(box(), labels)], 1)
    (unsupervised,) = metrics.unsupervised([(box(), labels)], 1)
    assert semi.j_frames == (18 / 24,)  # void is plain background there
    assert unsupervised.j_frames == (1,)


def test_trap_7_255_is_void_in_a_davis_2017_truth_and_an_error_in_a_result_of_objects():
    assert metrics.object_count(box() * np.uint8(255)) == 0
    assert metrics.region_similarity(box(), box() * np.uint8(255)) == 1  # one object: any id
    for task in (metrics.semi_supervised, metrics.unsupervised):
        with pytest.raises(ValueError, match=r"bear has the object id 255 .*\(255 is no object"):
            task([(box() * np.uint8(255), box())], 1, "bear")


def test_trap_8_the_protocol_decides_whether_first_and_last_frames_count():
    video = video_of(5)
    scored = [
        list(run.scored)
        for name in ("davis2016", "davis2016_all_frames")
        for run in benchmarks.find(name).runs(video)
    ]
    assert scored == [[1, 2, 3], [0, 1, 2, 3, 4]]


def test_trap_9_recall_is_strictly_above_a_half():
    assert metrics.statistics([0.5, 0.5, 0.5000001, 1.0]).recall == 0.5


@pytest.mark.parametrize(
    "n, edges", [(2, (0, 0, 1, 1)), (3, (0, 1, 2, 2)), (7, (0, 2, 5, 6)), (48, (0, 12, 35, 47))]
)
def test_trap_10_decay_quarters_share_a_frame_and_halves_round_up(n, edges):
    values = np.random.default_rng(n).random(n)
    a, b, c, d = edges
    expected = values[a : b + 1].mean() - values[c : d + 1].mean()
    assert metrics.statistics(values).decay == pytest.approx(expected)


def test_trap_11_long_sequences_have_wide_edges_and_the_tools_8_bits_are_an_option():
    values = np.linspace(1, 0, 400)
    assert metrics.statistics(values).decay == pytest.approx(0.75, abs=1e-2)
    assert metrics.statistics(values, decay_edges="8-bit").decay < 0.2  # edges wrapped around
    assert math.isnan(metrics.statistics(values[:256], decay_edges="8-bit").decay)  # 255 + 1 is 0


def test_trap_12_the_mean_skips_nan_and_recall_counts_it_only_as_the_official_tools_defect():
    values = [math.nan, 0.9, 0.7, math.nan]
    assert metrics.statistics(values).mean == pytest.approx(0.8)
    assert metrics.statistics(values).recall == 1
    assert metrics.statistics(values, nan_recall="counted").recall == 0.5


def test_trap_13_means_are_over_sequences_or_objects_and_never_over_frames():
    short, long = metrics.statistics([1.0]), metrics.statistics([0.0] * 9)
    assert metrics.mean_over_sequences([[short], [long, long]]).mean == 0.5
    assert metrics.mean_over_objects([[short], [long, long]]).mean == pytest.approx(1 / 3)


def test_trap_14_objects_are_counted_in_the_first_frame_and_gaps_are_empty_objects():
    first = pixels((0, 0)) * np.uint8(1) + pixels((9, 9)) * np.uint8(3)
    assert metrics.object_count(first) == 3
    second, third = metrics.semi_supervised([(first, first)], 3)[1:]
    assert (second.j_frames, third.j_frames) == ((1,), (1,))  # absent in both
    late = first + pixels((20, 20)) * np.uint8(4)
    assert len(metrics.unsupervised([(first, first), (first, late)], metrics.object_count(first))) == 3


def test_trap_15_missing_result_objects_are_empty_and_more_of_them_are_an_error():
    truth = box() + pixels((0, 0)) * np.uint8(2)
    assert [one.j_frames for one in metrics.semi_supervised([(box(), truth)], 2)] == [(1,), (0,)]
    with pytest.raises(ValueError, match="bear has the object id 3 but 2 is the largest allowed"):
        metrics.semi_supervised([(box() * np.uint8(3), truth)], 2, "bear")


def test_trap_16_assignment_by_j_and_f_over_all_frames_and_twenty_proposals_at_most():
    left, right = box(left=2), box(left=36)
    truth = left + 2 * right
    result = 3 * left + 20 * right
    for official in (False, True):
        found = metrics.unsupervised([(result, truth)], 2, official_order=official)
        assert [(one.object_id, one.proposal_id) for one in found] == [(1, 3), (2, 20)]
    swapped = 20 * left + 3 * right
    found = metrics.unsupervised([(swapped, truth)], 2)
    assert [(one.object_id, one.proposal_id) for one in found] == [(1, 20), (2, 3)]
    official = metrics.unsupervised([(swapped, truth)], 2, official_order=True)
    assert [(one.object_id, one.proposal_id) for one in official] == [(2, 3), (1, 20)]
    with pytest.raises(ValueError, match="bear has the object id 21 but 20 is the largest allowed"):
        metrics.unsupervised([(21 * left, truth)], 2, "bear")


@pytest.mark.parametrize("variant", VARIANTS)
def test_trap_17_what_has_no_outline_and_what_t_does_not_see(variant):
    line = pixels((10, slice(5, 50)))
    for nothing in (EMPTY, pixels((4, 4)), pixels((4, 4), (4, 5)), line, line.T.copy()):
        assert math.isnan(t_of(nothing, box(), variant))
        assert math.isnan(t_of(nothing, nothing, variant))
    assert t_of(box(), box(), variant) == 0
    assert t_of(box(), box(top=17, left=30), variant) == pytest.approx(0, abs=1e-12)
    step = box() + pixels((slice(5, 10), slice(12, 20)))
    holed = step - pixels((slice(16, 22), slice(18, 24)))
    assert t_of(box(), holed, variant) == t_of(box(), step, variant) > 0
    # A hole counts if its curve has the most points.
    rows, columns = np.indices((120, 160))
    hole = box(5, 5, 110, 150, (120, 160)) * (np.hypot(rows - 60, columns - 80) > 40)
    assert (
        metrics.shape_change(
            metrics.outline_shape(hole, variant),
            metrics.outline_shape(box(5, 5, 110, 150, (120, 160)), variant),
        )
        > 0.1
    )


def test_trap_18_tolerance_in_doubled_coordinates_times_five_and_numbers_of_values():
    # A notch of one pixel is 2 in doubled coordinates, within the tolerance of 3; two pixels are not.
    for depth, corners in ((1, 5), (2, 7)):
        notched = box() - pixels((slice(10, 10 + depth), slice(18, 28)))
        (outline,) = metrics.outlines(notched)
        assert len(outline.points) == corners
    golden = load_json("metrics/sequence.json")["T"]
    shape = load_json("metrics/sequence.json")["shape"]
    packed = load_npz("metrics/sequence_car-shadow.npz")
    frames = np.unpackbits(packed["gt"], count=math.prod(shape)).reshape(shape)[:6]
    matlab = metrics.temporal_instability(frames[1:-1], "matlab", frames[0])
    python = metrics.temporal_instability(frames[1:-1], "python")
    assert (len(matlab.values), len(python.values)) == (6 - 2, 6 - 3)
    np.testing.assert_allclose(matlab.values, 5 * np.array(golden["gt_matlab_raw"][:4]), rtol=0, atol=2e-3)
    np.testing.assert_allclose(python.values, golden["gt_python"][1:4], rtol=0, atol=2e-3)
    published = load_json("metrics/davis2016_published.json")
    assert len(published["stable"]) == 10  # averaged in test_stability


def test_trap_19_an_angle_that_rounds_up_to_the_full_circle_is_in_the_first_bin():
    golden, packed = load_json("metrics/t_pairs.json"), load_npz("metrics/t_masks.npz")
    rounded = 0
    for name in ("star", "star_b", "blob_a", "kite-surf_5", "breakdance_0"):
        height, width = golden["masks"][name]
        mask = np.unpackbits(packed[name], count=height * width).reshape(height, width)
        shape = metrics.outline_shape(mask)
        x, y = shape.samples.T
        angles = np.arctan2(y - y[:, None], x - x[:, None])
        bins = np.floor(np.fmod(np.fmod(angles, 2 * np.pi) + 2 * np.pi, 2 * np.pi) / (np.pi / 6))
        near = np.sqrt((x - x[:, None]) ** 2 + (y - y[:, None]) ** 2) / shape.mean_distance < 2
        first = shape.counts.reshape(-1, 5, 12)[..., 0].sum(1)
        assert (first == (near & ((bins == 0) | (bins == 12))).sum(1)).all()
        rounded += (near & (angles < 0) & ((bins == 0) | (bins == 12))).sum()
    assert rounded


def test_trap_20_thresholds_of_saliency():
    truth = np.array([[128, 129], [0, 255]], np.uint8)
    prediction = np.array([[10, 20], [10, 20]], np.uint8)
    found = metrics.image_saliency(prediction, truth)
    assert found.mae == 0  # stretched from 10..20 to 0..255; 128 is background
    constant = metrics.image_saliency(np.full((2, 2), 100, np.uint8), truth)
    assert constant.mae == pytest.approx((2 * 100 + 2 * 155) / 255 / 4)
    assert found.recall.tolist() == [1.0] * 256  # index 0 is threshold 255
    assert found.precision[0] == 1 and found.precision[255] == 0.5
    # The maximum of the mean curve, not the mean of maxima.
    first = metrics.image_saliency(np.array([[0, 255], [200, 255]], np.uint8), truth)
    second = metrics.image_saliency(np.array([[255, 90], [0, 90]], np.uint8), truth)
    assert metrics.mean_saliency([first, second]).max_f < (first.max_f + second.max_f) / 2


def test_trap_21_e_of_a_perfect_map_is_more_than_one():
    truth = box() * np.uint8(255)
    assert metrics.image_saliency(truth, truth).max_e == pytest.approx(truth.size / (truth.size - 1))


def test_trap_22_empty_truths_corner_objects_and_empty_maps():
    prediction = np.random.default_rng(0).integers(0, 256, (48, 64)).astype(np.uint8)
    prediction[0, :2] = 0, 255
    empty = metrics.image_saliency(prediction, EMPTY)
    assert empty.weighted_f == 0
    assert empty.s == pytest.approx(1 - (prediction / 255).mean())
    corner = pixels((47, 63)) * np.uint8(255)
    assert 0 < metrics.image_saliency(prediction, corner).s < 1
    nothing = metrics.image_saliency(EMPTY, box() * np.uint8(255))
    share = box().mean()  # threshold 0: everything is found
    assert nothing.adaptive_f == pytest.approx(1.3 * share / (0.3 * share + 1))


def test_trap_23_3dc_segs_f_and_pysods_f_are_different_measures():
    probability = np.zeros((10, 10), np.float32)
    probability[:5], probability[5:, :4] = 0.9, 0.8
    truth = np.zeros((10, 10), np.uint8)
    truth[:5, :6] = 255
    truth[5:, :4] = 255
    pooled = metrics.pooled_saliency(lambda: [(probability, truth)]).max_f
    image = metrics.image_saliency(np.round(probability * 255).astype(np.uint8), truth).max_f
    precision = 50 / 70
    assert pooled == pytest.approx(2 * precision / (precision + 1))
    assert image == pytest.approx(1.3 * precision / (0.3 * precision + 1))
    assert pooled - image > 0.03


def test_trap_24_frame_map():
    assert metrics.box_iou(np.array([0, 0, 9, 9]), np.array([[9, 9, 20, 20]])) == pytest.approx(1 / 243)
    truths = {1: np.array([[0, 0, 9, 9], [0, 0, 9, 7]])}
    found = metrics.Detections((1, 1, 1), np.array([0.9, 0.8, 0.7]), np.array([[0, 0, 9, 9]] * 3))
    # The first takes the better box, the second the other, the third none: 1, then 1, then 2/3 of them.
    assert metrics.average_precision(found, truths) == pytest.approx(1)
    assert metrics.average_precision(found, truths, 0.9) == pytest.approx(0.5)
    half = metrics.Detections((2, 1), np.array([0.9, 0.8]), np.array([[0, 0, 9, 9]] * 2))
    assert metrics.average_precision(half, truths) == pytest.approx(0.5 * (0 + 0.5) / 2)
    assert metrics.frame_map({}, {"wave": truths}) == (0, {"wave": 0.0})
    with pytest.raises(ValueError, match="'jump' has no true box"):
        metrics.frame_map({"jump": found}, {"wave": truths})
    with pytest.raises(ValueError, match="'jump' has no true box"):
        metrics.frame_map({}, {"wave": truths, "jump": {}})


def test_trap_25_jumpcut_errors_exceed_a_hundred_and_objects_that_are_gone_do_not_count():
    assert metrics.jumpcut_error(FULL, pixels((3, 3))) == pytest.approx(100 * (FULL.size - 1))
    gone = metrics.jumpcut_error(FULL, EMPTY)
    assert math.isnan(gone)
    assert metrics.group_means([[gone, 10.0], [30.0]]).over_groups == 20


@pytest.mark.parametrize(
    "metric",
    [
        metrics.region_similarity,
        metrics.boundary_f,
        metrics.j_and_f,
        metrics.image_saliency,
        metrics.jumpcut_error,
        functools.partial(metrics.pair_scores, proposals=1, objects=1),
    ],
)
def test_trap_26_masks_of_different_sizes_are_refused(metric):
    with pytest.raises((ValueError, TypeCheckError)):
        metric(EMPTY, np.zeros((48, 65), np.uint8))


def test_trap_27_tables_of_other_tools_in_the_results_folder_are_not_read(tmp_path):
    results = tmp_path / "results"
    for index in range(3):
        write_palette_png(results / f"bear/{index:05d}.png", EMPTY)
        for name in ("frames", "masks"):
            write_palette_png(tmp_path / f"data/bear/{name}/{index:05d}.png", box())
    for name in ("global_results-val.csv", "per-sequence_results-val.csv", "scores.json"):
        (results / name).write_text("J&F-Mean,J-Mean\n0.999,0.999\n")
    files = sorted(results.rglob("*"))
    scores = score(results, "folder", tmp_path / "data", workers=1, work_dir=tmp_path / "work")
    assert scores.figures["J mean"] == 0
    assert sorted(results.rglob("*")) == files
