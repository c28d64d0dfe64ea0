"""Trilinear resizing against golden numbers of PyTorch and against the matrices that define it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from golden_files import assert_golden, load_npz, recipe
from hypothesis import given, settings
from hypothesis import strategies as st

from vos3d_jax.models.resize import interpolation_matrix, resize_trilinear


def torch_axes(x):
    return np.moveaxis(np.asarray(x), -1, 1)


@pytest.mark.parametrize(
    "name, size, align_corners",
    [
        ("resize_scale_1_4_4", (3, 16, 20), False),
        ("resize_to_5_7_9", (5, 7, 9), False),
        ("resize_to_2_3_3", (2, 3, 3), False),
        ("resize_align_corners_to_5_7_9", (5, 7, 9), True),
    ],
)
@pytest.mark.parametrize("channels", [2, 32])
def test_golden_numbers_of_pytorch_hold_for_few_and_for_many_channels(name, size, align_corners, channels):
    x = np.moveaxis(recipe.array("dcseg.golden.modules.resize.0", (1, 2, 3, 4, 5), -1, 1), 1, -1)
    x = jnp.tile(jnp.asarray(x, jnp.float32), channels // 2)
    y = resize_trilinear(x, size, align_corners=align_corners)[..., :2]
    assert_golden(torch_axes(y), load_npz("3dcseg/modules.npz"), name)


sizes = st.tuples(*[st.integers(1, 6)] * 3)


@settings(max_examples=25, deadline=None)
@given(old=sizes, new=sizes, align_corners=st.booleans(), channels=st.sampled_from([1, 17]))
def test_any_size_equals_the_matrices_forward_and_backward(old, new, align_corners, channels):
    generator = np.random.default_rng(0)
    with jax.enable_x64(True):
        x = generator.standard_normal((2, *old, channels))
        matrices = [interpolation_matrix(n, m, align_corners) for n, m in zip(old, new, strict=True)]
        expected = np.einsum("Tt,Hh,Ww,bthwc->bTHWc", *matrices, x)
        y, vjp = jax.vjp(lambda x: resize_trilinear(x, new, align_corners=align_corners), jnp.asarray(x))
        dy = generator.standard_normal(y.shape)
        gradient = np.einsum("Tt,Hh,Ww,bTHWc->bthwc", *matrices, dy)
        assert y.dtype == np.float64
        np.testing.assert_allclose(y, expected, atol=1e-12)
        np.testing.assert_allclose(vjp(jnp.asarray(dy))[0], gradient, atol=1e-12)


def test_one_sample_is_copied_by_both_rules():
    x = jnp.full((1, 1, 1, 1, 20), 3.0)
    for align_corners in (False, True):
        np.testing.assert_array_equal(resize_trilinear(x, (2, 3, 4), align_corners=align_corners), 3.0)


def test_bfloat16_stays_bfloat16():
    assert resize_trilinear(jnp.ones((1, 1, 2, 2, 2), jnp.bfloat16), (1, 4, 4)).dtype == jnp.bfloat16
