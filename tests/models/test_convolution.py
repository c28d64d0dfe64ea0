"""Every convolution form against a slow reference in float64: output and both gradients."""

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import lax

from vos3d_jax.models import convolution
from vos3d_jax.models.convolution import (
    DEPTHWISE_IMPLEMENTATIONS,
    IMPLEMENTATIONS,
    bias_add,
    choose,
    conv3d,
    depthwise_conv3d,
    max_pool3d,
    prepare_kernel,
)
from vos3d_jax.models.convolution.geometry import Geometry, trim

SAME = ((1, 1),) * 3
TOLERANCE = 2e-5  # of the largest value, in float32
QUICK_COMPILATION = {"xla_backend_optimization_level": 0}


def case(size, inputs, kernel, outputs, stride=(1, 1, 1), padding=SAME, dilation=(1, 1, 1), batch=1):
    return Geometry(batch, size, inputs, kernel, outputs, stride, padding, dilation)


DENSE = {
    "3x3x3": case((8, 9, 10), 16, (3, 3, 3), 12),
    "3x3x3, batch of two, odd sizes": case((5, 7, 6), 8, (3, 3, 3), 6, batch=2),
    "3x3x3 on one frame": case((1, 6, 5), 8, (3, 3, 3), 6),
    "3x3x3 on one pixel": case((2, 1, 1), 8, (3, 3, 3), 6),
    "3x3x3 without padding": case((4, 5, 6), 8, (3, 3, 3), 6, padding=((0, 0),) * 3),
    "3x3x3, padding one-sided and wide": case((4, 5, 6), 4, (3, 3, 3), 6, padding=((2, 0), (0, 2), (3, 1))),
    "3x3x3 stride 2": case((5, 8, 7), 4, (3, 3, 3), 6, stride=(2, 2, 2)),
    "3x3x3 dilation 2": case((5, 8, 7), 4, (3, 3, 3), 6, padding=((2, 2),) * 3, dilation=(2, 2, 2)),
    "dilation in time, stride in space": case(
        (5, 8, 7), 4, (3, 3, 3), 6, stride=(1, 2, 2), padding=((2, 2), (1, 1), (1, 1)), dilation=(2, 1, 1)
    ),
    "1x3x3": case((3, 6, 7), 8, (1, 3, 3), 6, padding=((0, 0), (1, 1), (1, 1))),
    "3x1x1": case((5, 4, 3), 8, (3, 1, 1), 6, padding=((1, 1), (0, 0), (0, 0))),
    "stem 3x7x7": case((4, 16, 18), 3, (3, 7, 7), 8, stride=(1, 2, 2), padding=((1, 1), (3, 3), (3, 3))),
    "stem of ip-CSN, which adds frames": case(
        (3, 12, 10), 3, (3, 7, 7), 8, stride=(1, 2, 2), padding=((3, 3), (3, 3), (3, 3))
    ),
    "1x1x1": case((3, 4, 5), 16, (1, 1, 1), 8, padding=((0, 0),) * 3),
    "1x1x1 stride 2": case((3, 4, 5), 16, (1, 1, 1), 8, stride=(2, 2, 2), padding=((0, 0),) * 3),
    "1x7x1": case((1, 4, 7), 16, (1, 7, 1), 8, padding=((0, 0), (3, 3), (0, 0))),
    "1x1x7": case((1, 4, 7), 16, (1, 1, 7), 8, padding=((0, 0), (0, 0), (3, 3))),
    "two outputs": case((3, 5, 6), 32, (3, 3, 3), 2),
    "even kernel": case((4, 5, 6), 4, (2, 4, 2), 3, padding=((0, 1), (1, 2), (1, 0))),
}
DEPTHWISE = {
    "3x3x3": case((8, 6, 7), 16, (3, 3, 3), 16),
    "3x3x3, batch of two": case((4, 5, 6), 8, (3, 3, 3), 8, batch=2),
    "3x3x3 on one frame": case((1, 4, 7), 8, (3, 3, 3), 8),
    "3x3x3 stride 2": case((8, 8, 6), 8, (3, 3, 3), 8, stride=(2, 2, 2)),
    "3x3x3 stride 2, odd sizes": case((5, 7, 9), 8, (3, 3, 3), 8, stride=(2, 2, 2), batch=2),
    "3x3x3 stride 3 in time only": case((7, 4, 5), 8, (3, 3, 3), 8, stride=(3, 1, 1)),
    "3x3x3 dilation 2": case((5, 8, 7), 8, (3, 3, 3), 8, padding=((2, 2),) * 3, dilation=(2, 2, 2)),
    "even kernel, one-sided padding": case((4, 5, 6), 6, (2, 2, 4), 6, padding=((0, 1), (0, 0), (3, 0))),
    "stride over a small kernel": case((4, 5, 6), 6, (1, 1, 1), 6, stride=(2, 2, 2), padding=((0, 0),) * 3),
}


def reference(x, kernel, geometry, dy_of, depthwise=False):
    """Output and both gradients by adding up one product a tap, in float64 NumPy."""
    x, kernel = np.asarray(x, np.float64), np.asarray(kernel, np.float64)
    padded = np.pad(x, ((0, 0), *geometry.padding, (0, 0)))
    multiply = "bthwc,xc->bthwc" if depthwise else "bthwi,io->bthwo"
    windows = {}
    for tap in np.ndindex(geometry.kernel):
        starts = [t * d for t, d in zip(tap, geometry.dilation, strict=True)]
        windows[tap] = (slice(None),) + tuple(
            slice(start, start + (n - 1) * s + 1, s)
            for start, n, s in zip(starts, geometry.output, geometry.stride, strict=True)
        )
    y = sum(np.einsum(multiply, padded[window], kernel[tap]) for tap, window in windows.items())
    dy, dpadded, dkernel = dy_of(y.shape), np.zeros_like(padded), np.zeros_like(kernel)
    for tap, window in windows.items():
        if depthwise:
            dpadded[window] += dy * kernel[tap][0]
            dkernel[tap] = np.einsum("bthwc,bthwc->c", padded[window], dy)[None]
        else:
            dpadded[window] += np.einsum("bthwo,io->bthwi", dy, kernel[tap])
            dkernel[tap] = np.einsum("bthwi,bthwo->io", padded[window], dy)
    inside = [
        slice(before, before + n) for (before, _), n in zip(geometry.padding, geometry.size, strict=True)
    ]
    return y, dpadded[:, inside[0], inside[1], inside[2]], dkernel


def make(geometry, depthwise, dtype):
    generator = np.random.default_rng(0)
    x = np.maximum(generator.standard_normal((geometry.batch, *geometry.size, geometry.inputs)), 0)
    kernel = generator.standard_normal(
        (*geometry.kernel, 1 if depthwise else geometry.inputs, geometry.outputs)
    )
    return (
        jnp.asarray(x, dtype),
        jnp.asarray(kernel, dtype),
        lambda s: np.random.default_rng(1).standard_normal(s),
    )


def check(geometry, implementation, depthwise, dtype, tolerance):
    x, kernel, dy_of = make(geometry, depthwise, dtype)
    function = depthwise_conv3d if depthwise else conv3d

    @jax.jit
    def run(x, kernel, dy):
        y, vjp = jax.vjp(
            lambda x, kernel: function(
                x,
                kernel,
                stride=geometry.stride,
                padding=geometry.padding,
                dilation=geometry.dilation,
                implementation=implementation,
            ),
            x,
            kernel,
        )
        return y, *vjp(dy)

    expected = reference(x, kernel, geometry, dy_of, depthwise)
    values = run(x, kernel, jnp.asarray(dy_of(expected[0].shape), dtype))
    for name, value, exact in zip(
        ("output", "input gradient", "kernel gradient"), values, expected, strict=True
    ):
        assert value.dtype == x.dtype and value.shape == exact.shape
        error = np.abs(np.asarray(value, np.float64) - exact).max() / max(np.abs(exact).max(), 1e-30)
        assert error <= tolerance, f"{name}: {error:.1e} of the maximum"


def applies(known, implementation, geometry):
    return implementation == "auto" or known[implementation].refuses(geometry) is None


# Winograd's programs take seconds to compile: here the large tiles meet the cases that are special for them,
# the rest of the table in the slow run.
QUICK_WINOGRAD = {
    "winograd_2_4": {"3x3x3", "1x3x3", "3x3x3 stride 2", "3x3x3, padding one-sided and wide"},
    "winograd_4_4": {"3x3x3", "1x3x3", "3x3x3 stride 2"},
}


def dense_pairs():
    for implementation in ["auto", *IMPLEMENTATIONS]:
        for name in DENSE:
            large = name not in QUICK_WINOGRAD.get(implementation, DENSE)
            yield pytest.param(name, implementation, marks=[pytest.mark.slow] if large else [])


@pytest.mark.parametrize("name, implementation", list(dense_pairs()))
def test_dense_forms_equal_the_reference_or_say_why_not(name, implementation):
    geometry = DENSE[name]
    if applies(IMPLEMENTATIONS, implementation, geometry):
        check(geometry, implementation, False, jnp.float32, TOLERANCE)
    else:
        with pytest.raises(ValueError, match=f"'{implementation}' does not apply here: "):
            check(geometry, implementation, False, jnp.float32, TOLERANCE)


@pytest.mark.parametrize("implementation", DEPTHWISE_IMPLEMENTATIONS)
@pytest.mark.parametrize("name", DEPTHWISE)
def test_depthwise_forms_equal_the_reference(name, implementation):
    check(DEPTHWISE[name], implementation, True, jnp.float32, TOLERANCE)


@pytest.mark.parametrize("name", DEPTHWISE)
def test_the_depthwise_gradients_for_accelerators_equal_the_reference(name, monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    check(DEPTHWISE[name], "shifted_sums", True, jnp.float32, TOLERANCE)


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_dense_forms_keep_float64(implementation):
    cases = [DENSE["1x3x3"], *DENSE.values()]
    geometry = next(g for g in cases if applies(IMPLEMENTATIONS, implementation, g))
    with jax.enable_x64(True):
        check(geometry, implementation, False, jnp.float64, 1e-12)


@pytest.mark.parametrize("implementation", DEPTHWISE_IMPLEMENTATIONS)
def test_depthwise_forms_keep_float64(implementation):
    with jax.enable_x64(True):
        check(DEPTHWISE["3x3x3 stride 2"], implementation, True, jnp.float64, 1e-12)


@pytest.mark.parametrize("depthwise", [False, True])
def test_bfloat16_stays_bfloat16_and_uses_no_winograd(depthwise):
    geometry = case((4, 4, 4), 64, (3, 3, 3), 64)
    x, kernel, _ = make(geometry, depthwise, jnp.bfloat16)
    assert "winograd" not in choose(geometry, depthwise=depthwise, dtype=x.dtype)
    # Trap: 27 taps added up in bfloat16 lose three times what rounding the sum does.
    check(geometry, "auto", depthwise, jnp.bfloat16, 4e-3 if depthwise else 2e-2)


def test_bfloat16_is_added_up_in_float32_on_accelerators_too(monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    check(case((4, 4, 4), 64, (3, 3, 3), 64), "shifted_sums", True, jnp.bfloat16, 4e-3)


axes = st.tuples(st.integers(1, 7), st.integers(1, 3), st.integers(1, 3), st.integers(1, 2))


@st.composite
def geometries(draw):
    size, kernel, stride, padding, dilation = [], [], [], [], []
    for _ in range(3):
        n, k, s, d = draw(axes)
        before, after = draw(st.integers(0, 3)), draw(st.integers(0, 3))
        after += max(0, (k - 1) * d + 1 - n - before - after)  # at least one output
        for values, value in zip(
            (size, kernel, stride, padding, dilation), (n, k, s, (before, after), d), strict=True
        ):
            values.append(value)
    inputs, outputs = draw(st.sampled_from([1, 3, 33])), draw(st.sampled_from([1, 2, 34]))
    layout = tuple(stride), tuple(padding), tuple(dilation)
    return case(tuple(size), inputs, tuple(kernel), outputs, *layout)


@pytest.mark.slow
@settings(max_examples=20, deadline=None)
@given(geometry=geometries())
def test_the_chosen_form_is_right_for_any_dense_geometry(geometry):
    check(geometry, "auto", False, jnp.float32, TOLERANCE)


@pytest.mark.slow
@settings(max_examples=20, deadline=None)
@given(geometry=geometries())
def test_the_chosen_form_is_right_for_any_depthwise_geometry(geometry):
    same = dataclasses.replace(geometry, inputs=5, outputs=5)
    check(same, "shifted_sums", True, jnp.float32, TOLERANCE)


@settings(max_examples=100, deadline=None)
@given(geometry=geometries(), backend=st.sampled_from(["cpu", "gpu", "tpu"]), depthwise=st.booleans())
def test_the_table_never_names_a_form_that_does_not_apply(geometry, backend, depthwise):
    geometry = dataclasses.replace(geometry, inputs=33, outputs=33 if depthwise else geometry.outputs)
    name = choose(geometry, depthwise=depthwise, backend=backend)
    known = DEPTHWISE_IMPLEMENTATIONS if depthwise else IMPLEMENTATIONS
    assert known[name].refuses(geometry) is None


def layout(geometry):
    return geometry.stride, geometry.padding, geometry.dilation


@pytest.mark.parametrize(
    "shape, kernel_shape, stride, expected",
    [
        ((1, 8, 32, 56, 256), (3, 3, 3, 256, 256), (1, 1, 1), "winograd_4_4"),
        ((1, 8, 32, 56, 64), (3, 3, 3, 1, 64), (1, 1, 1), "shifted_sums"),
        ((1, 8, 32, 56, 256), (1, 1, 1, 256, 64), (1, 1, 1), "dot"),
        ((1, 8, 128, 224, 3), (3, 7, 7, 3, 64), (1, 2, 2), "time_in_channels"),
        ((1, 1, 4, 7, 2048), (1, 7, 1, 2048, 256), (1, 1, 1), "im2col"),
        ((1, 8, 32, 56, 256), (3, 3, 3, 256, 2), (1, 1, 1), "few_outputs"),
    ],
)
def test_the_table_names_the_measured_best_for_the_published_network(shape, kernel_shape, stride, expected):
    padding = tuple((k // 2, k // 2) for k in kernel_shape[:3])
    geometry = convolution.geometry_of(shape, kernel_shape, stride, padding)
    depthwise = kernel_shape[3] != shape[-1]
    assert choose(geometry, depthwise=depthwise) == expected
    assert choose(geometry, depthwise=depthwise, backend="tpu") in {"lax", "dot", "shifted_sums"}


def test_a_kernel_that_is_trained_is_transformed_only_where_that_pays():
    few, many = (
        convolution.geometry_of(shape, (3, 3, 3, 1024, 256), padding=SAME)
        for shape in ((1, 2, 8, 14, 1024), (1, 8, 32, 56, 1024))
    )
    assert choose(few).startswith("winograd")
    assert choose(few, trained=True) == "im2col"
    assert choose(many, trained=True) == "winograd_4_4"
    # Small maps of few channels: what Winograd saves there is less than what compiling it costs.
    small, large = (
        convolution.geometry_of(shape, (3, 3, 3, 32, 32), padding=SAME)
        for shape in ((4, 4, 12, 20, 32), (4, 8, 24, 40, 32))
    )
    assert choose(small, trained=True) == "time_in_channels"
    assert choose(large, trained=True) == "winograd_4_4"


def test_a_name_that_does_not_exist_is_refused():
    with pytest.raises(ValueError, match="no convolution is called 'fft': choose from auto, lax, dot"):
        conv3d(jnp.ones((1, 1, 1, 1, 1)), jnp.ones((1, 1, 1, 1, 1)), implementation="fft")


@pytest.mark.parametrize("implementation", ["winograd_2_2", "winograd_2_4", "winograd_4_4"])
def test_a_kernel_transformed_once_gives_what_the_kernel_gives(implementation):
    geometry = DENSE["1x3x3"]
    x, kernel, _ = make(geometry, False, jnp.float32)
    options = dict(padding=geometry.padding, implementation=implementation)
    plain = conv3d(x, kernel, **options)
    y = conv3d(x, prepare_kernel(kernel, implementation), padding=geometry.padding)
    np.testing.assert_allclose(y, plain, atol=1e-5 * float(jnp.abs(plain).max()))


def test_a_form_without_a_transform_prepares_nothing():
    assert prepare_kernel(jnp.ones((1, 1, 1, 2, 2)), "dot") is None


def test_a_prepared_kernel_is_refused_where_its_form_does_not_apply():
    kernel = prepare_kernel(jnp.ones((3, 3, 3, 2, 2)), "winograd_2_2")
    with pytest.raises(ValueError, match="'winograd_2_2' does not apply here: stride"):
        conv3d(jnp.ones((1, 4, 4, 4, 2)), kernel, stride=(1, 2, 2))


def test_trimming_leaves_only_taps_that_meet_the_clip():
    kernel, geometry = trim(jnp.ones((3, 3, 3, 2, 2)), case((1, 5, 5), 2, (3, 3, 3), 2))
    assert kernel.shape[:3] == geometry.kernel == (1, 3, 3)
    assert geometry.output == (1, 5, 5)


def test_the_bias_gradient_is_the_sum_over_positions():
    generator = np.random.default_rng(0)
    x, dy = (
        jnp.asarray(generator.standard_normal((2, 3, 4, 5, 6), np.float32)),
        generator.random((2, 3, 4, 5, 6)),
    )
    y, vjp = jax.vjp(bias_add, x, jnp.arange(6.0))
    np.testing.assert_allclose(y, x + np.arange(6), rtol=1e-6)
    dx, dbias = vjp(jnp.asarray(dy, jnp.float32))
    np.testing.assert_allclose(dx, dy, rtol=1e-6)
    np.testing.assert_allclose(dbias, dy.sum((0, 1, 2, 3)), rtol=1e-5)


@pytest.mark.parametrize("size", [(2, 8, 6), (1, 7, 9), (3, 1, 2), (1, 2, 1)])
def test_the_pool_equals_reduce_window_forward_and_backward(size):
    generator = np.random.default_rng(0)
    # All negative: padding with zero instead of minus infinity would win.
    x = jnp.asarray(generator.standard_normal((2, *size, 3)) - 9, jnp.float32)

    def window(x):
        edges = ((0, 0), (0, 0), (1, 1), (1, 1), (0, 0))
        return lax.reduce_window(x, -jnp.inf, lax.max, (1, 1, 3, 3, 1), (1, 1, 2, 2, 1), edges)

    y, vjp = jax.vjp(max_pool3d, x)
    expected, expected_vjp = jax.vjp(window, x)
    np.testing.assert_array_equal(y, expected)
    dy = jnp.asarray(generator.standard_normal(y.shape), jnp.float32)
    np.testing.assert_allclose(vjp(dy)[0], expected_vjp(dy)[0], atol=1e-6)


def test_the_pool_gives_the_gradient_of_a_tie_to_the_first_maximum_as_pytorch_does():
    dx = jax.grad(lambda x: max_pool3d(x).sum())(jnp.ones((1, 1, 3, 3, 1)))
    expected = np.zeros((3, 3))
    expected[0, 0], expected[0, 1], expected[1, 0], expected[1, 1] = 1, 1, 1, 1
    np.testing.assert_array_equal(dx[0, 0, :, :, 0], expected)


def test_a_batch_costs_no_separate_products():
    """A trap: `vmap` of a one-clip form turns each product into a batched one."""
    kernel = jnp.ones((3, 3, 3, 4, 4))
    jaxpr = jax.make_jaxpr(lambda x: conv3d(x, kernel, padding=SAME, implementation="winograd_2_2"))(
        jnp.ones((2, 4, 4, 4, 4))
    )
    products = str(jaxpr).count("dot_general")
    assert products == math.prod((4, 4, 4))
