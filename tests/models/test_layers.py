import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from golden_files import assert_golden, load_npz
from golden_networks import golden_clip, torch_layout

from vos3d_jax.constants import DCSEG_MEAN
from vos3d_jax.models import layers


def settings(seed=0, **options):
    return layers.ConvSettings(np.random.default_rng(seed), implementation="lax", **options)


def conv(inputs, outputs, kernel_size, seed=0, **options):
    return layers.Conv(inputs, outputs, kernel_size, settings=settings(seed), **options)


def random(*shape, seed=1):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


def shuffled_norm(module, seed=2):
    rng = np.random.default_rng(seed)
    for name in ("scale", "bias", "mean", "var"):
        variable = getattr(module.norm, name)
        variable[...] = jnp.asarray(rng.uniform(0.5, 1.5, variable.shape), jnp.float32)


def test_normalisation_equals_the_original():
    golden = load_npz("3dcseg/modules.npz")
    clip = golden_clip("dcseg.golden.modules.normalise.0", (1, 3, 2, 4, 5))
    x = layers.normalise(clip, DCSEG_MEAN, (1.0, 1.0, 1.0), "float32") / 255
    assert_golden(torch_layout(x), golden, "normalise")


def test_black_padding_enters_as_minus_the_mean():
    # Trap: padding is black before normalisation, so it is not 0 after it.
    x = layers.normalise(jnp.zeros((1, 1, 1, 1, 3)), DCSEG_MEAN, (1.0, 1.0, 1.0), "float32")
    np.testing.assert_allclose(x[0, 0, 0, 0], -np.float32(DCSEG_MEAN))


def test_a_convolution_of_stride_two_is_padded_on_both_sides():
    # Trap: "SAME" pads even sizes after the end only, which shifts everything by a pixel.
    layer = conv(1, 1, (1, 3, 3), stride=(1, 2, 2), ending="none")
    layer.kernel[...] = jnp.zeros((1, 3, 3, 1, 1)).at[0, 1, 1].set(1)
    x = random(1, 1, 6, 6, 1)
    np.testing.assert_array_equal(layer(x), x[:, :, ::2, ::2])


def test_frozen_batch_norm_in_the_kernel_is_the_same_function_gradients_included():
    layer = conv(3, 4, (3, 3, 3), ending="norm")
    shuffled_norm(layer)
    x, weight = random(2, 3, 5, 4, 3), random(2, 3, 5, 4, 4, seed=3)
    graphdef, state = nnx.split(layer)
    state = nnx.to_pure_dict(state)

    def folded(state, x):
        return (nnx.merge(graphdef, state)(x) * weight).sum()

    def plain(state, x):
        norm = state["norm"]
        y = jax.lax.conv_general_dilated(
            x, state["kernel"], (1, 1, 1), ((1, 1),) * 3, dimension_numbers=("NDHWC", "DHWIO", "NDHWC")
        )
        y = (y - norm["mean"]) / jnp.sqrt(norm["var"] + 1e-5) * norm["scale"] + norm["bias"]
        return (y * weight).sum()

    for ours, theirs in zip(
        jax.tree.leaves(jax.value_and_grad(folded, (0, 1))(state, x)),
        jax.tree.leaves(jax.value_and_grad(plain, (0, 1))(state, x)),
        strict=True,
    ):
        np.testing.assert_allclose(ours, theirs, rtol=2e-5, atol=2e-5 * float(jnp.abs(theirs).max()))


def test_training_moves_the_running_statistics_as_pytorch_does():
    # Traps: momentum 0.9 is the share of the old value; the running variance takes the unbiased one.
    norm = nnx.view(layers.BatchNorm(3, settings(momentum=0.9)), batch_norm="train")
    x = 5 + 2 * random(2, 3, 4, 5, 3)
    y = np.asarray(norm(x))
    pixels = np.asarray(x, np.float64).reshape(-1, 3)
    np.testing.assert_allclose(norm.mean[...], 0.1 * pixels.mean(0), rtol=1e-5)
    np.testing.assert_allclose(norm.var[...], 0.9 + 0.1 * pixels.var(0, ddof=1), rtol=1e-5)
    np.testing.assert_allclose(y.mean((0, 1, 2, 3)), 0, atol=1e-5)
    np.testing.assert_allclose(y.var((0, 1, 2, 3)), 1, atol=1e-3)


def test_variance_survives_a_large_mean():
    # Trap: E[x^2] - E[x]^2 in float32 is wrong by half at mean 1000.
    norm = nnx.view(layers.BatchNorm(1, settings(momentum=0.0)), batch_norm="train")
    x = 1000 + random(1, 4, 8, 8, 1)
    norm(x)
    np.testing.assert_allclose(norm.var[...], np.asarray(x, np.float64).var(ddof=1), rtol=1e-3)


def test_in_half_precision_batch_statistics_stay_in_single():
    layer = nnx.view(conv(3, 4, (1, 1, 1), ending="norm"), batch_norm="train")
    y = layer(random(1, 2, 4, 4, 3).astype(jnp.bfloat16))
    assert y.dtype == jnp.bfloat16
    assert layer.norm.mean[...].dtype == jnp.float32


def test_initial_weights_follow_the_rules_of_the_original():
    rng = np.random.default_rng(0)
    kernel = layers.encoder_normal(rng, (3, 3, 3, 1, 4096))
    assert kernel.std() == pytest.approx(np.sqrt(2 / (3 * 3 * 4096)), rel=0.02)
    kernel = layers.fan_in_uniform(rng, (3, 7, 7, 3, 64))
    assert np.abs(kernel).max() == pytest.approx(1 / np.sqrt(3 * 7 * 7 * 3), rel=0.01)


def test_a_depthwise_convolution_that_changes_channels_is_refused():
    with pytest.raises(ValueError, match="3 -> 4"):
        conv(3, 4, (3, 3, 3), depthwise=True)


@pytest.mark.parametrize("mode", ["frozen", "train"])
def test_rematerialised_modules_give_the_same_output_gradient_and_statistics(mode):
    layer = nnx.view(conv(3, 4, (3, 3, 3), ending="norm"), batch_norm=mode)
    shuffled_norm(layer)
    graphdef, parameters, statistics = nnx.split(layer, nnx.Param, nnx.BatchStat)
    x = random(2, 2, 4, 4, 3)

    def loss(parameters, remat):
        module = nnx.merge(graphdef, parameters, statistics, copy=True)
        y = layers.rematerialised(module, x) if remat else module(x)
        return jnp.square(y).sum(), nnx.to_pure_dict(nnx.state(module, nnx.BatchStat))

    plain = jax.value_and_grad(loss, has_aux=True)(nnx.to_pure_dict(parameters), False)
    remat = jax.value_and_grad(loss, has_aux=True)(nnx.to_pure_dict(parameters), True)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5), plain, remat)


def test_a_module_becomes_a_function_of_arrays_by_any_of_its_methods_or_by_a_function_of_it():
    layer = conv(3, 4, (1, 1, 1), ending="norm")
    shuffled_norm(layer)
    x = random(1, 2, 4, 4, 3)
    for call, inputs, expected in [
        ("__call__", (x,), layer(x)),
        ("folded", (), layer.folded()),
        (lambda layer, x: layer(layer.kernel[...].sum() * x), (x,), layer(layer.kernel[...].sum() * x)),
    ]:
        function, state = layers.as_function(layer, call)
        output, moved = function(state, *inputs)
        jax.tree.map(np.testing.assert_array_equal, output, expected)
        assert moved == {}


def test_a_function_of_a_module_in_train_mode_gives_the_moved_statistics_and_leaves_the_module_alone():
    layer = conv(3, 4, (1, 1, 1), ending="norm")
    function, state = layers.as_function(nnx.view(layer, batch_norm="train"))
    _, moved = function(state, random(1, 2, 4, 4, 3))
    assert set(moved["norm"]) == {"mean", "var"}
    assert np.abs(moved["norm"]["mean"]).min() > 0
    np.testing.assert_array_equal(layer.norm.mean[...], 0)
