import golden_files
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from vos3d_jax.inference.sizes import Fit
from vos3d_jax.media.images import resize_bilinear, short_edge_size
from vos3d_jax.media.masks import resize_mask_nearest

PIPELINE = golden_files.load_json("3dcseg/pipeline_golden.json")
SIDES = st.integers(1, 200)


def _input(name, shape, scale):
    return np.uint8(golden_files.recipe.array(name, shape) * scale)


def test_padding_is_the_published_one():
    for case in PIPELINE["padding"]:
        fit = Fit(tuple(case["size"]), None)
        assert fit.padding == ((case["top"], case["bottom"]), (case["left"], case["right"]))
        assert fit.to_network(np.zeros((*fit.original, 3), np.uint8)).shape[:2] == tuple(case["padded"])
        assert fit.network == tuple(case["padded"])


def test_the_short_edge_is_resized_to_480_with_both_sides_rounded_half_to_even():
    for case in PIPELINE["short_edge_480"]:
        assert short_edge_size(tuple(case["size"]), 480) == tuple(case["resized"])
    assert short_edge_size((2, 5), 1) == (1, 2)
    assert short_edge_size((2, 7), 1) == (1, 4)


def test_resizing_is_pillows():
    golden = PIPELINE["pillow_resize"]
    mask = _input("dcseg.golden.nearest", (7, 9), 3)
    assert resize_mask_nearest(mask, tuple(golden["to"])).tolist() == golden["output"]
    frame = np.uint8(golden_files.recipe.array("dcseg.golden.bilinear", (9, 12, 3), 0, 256))
    for to in ("bilinear", "bilinear_up"):
        resized = resize_bilinear(frame, tuple(golden[f"{to}_to"]))
        assert resized.tolist() == golden[f"{to}_output"]


def test_padding_is_black():
    # spec-3dc-seg.md 6, trap 19: before normalisation, so not the mean
    padded = Fit((30, 31), None).to_network(np.full((30, 31, 3), 255, np.uint8))
    assert padded.sum() == 30 * 31 * 3 * 255 and (padded[0] == 0).all() and (padded[:, -1] == 0).all()


@given(height=SIDES, width=SIDES)
def test_cropping_undoes_padding(height, width):
    frame = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    fit = Fit((height, width), None)
    padded = fit.to_network(frame)
    assert padded.shape[0] % 32 == padded.shape[1] % 32 == 0
    assert all(after < 32 and 0 <= after - before <= 1 for before, after in fit.padding)
    np.testing.assert_array_equal(fit.crop(padded), frame)
    np.testing.assert_array_equal(fit.pad(frame[..., 0]), padded[..., 0])


@given(height=SIDES, width=SIDES, to_height=SIDES, to_width=SIDES)
def test_nearest_takes_the_pixel_under_the_centre(height, width, to_height, to_width):
    mask = np.random.default_rng(0).integers(0, 256, (height, width), np.uint8)
    rows, row_ties = divmod((2 * np.arange(to_height) + 1) * height, 2 * to_height)
    columns, column_ties = divmod((2 * np.arange(to_width) + 1) * width, 2 * to_width)
    resized = resize_mask_nearest(mask, (to_height, to_width))
    # A centre on the border of two pixels takes either: Pillow adds up positions in floating point.
    clear = np.ix_(row_ties > 0, column_ties > 0)
    np.testing.assert_array_equal(resized[clear], mask[np.ix_(rows, columns)][clear])


def test_a_constant_probability_stays_constant():
    resized = resize_bilinear(np.full((5, 7), 0.25, np.float32), (9, 4))
    assert resized.shape == (9, 4) and np.abs(resized - 0.25).max() < 1e-6
