"""What holds for every network: it builds, runs, learns, takes odd sizes, half precision and remat."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from golden_networks import unstacked

from vos3d_jax.errors import UserError
from vos3d_jax.models import SYSTEMS, build_model, forward, model_card, prepare

SMALL = {
    "dcseg": dict(depth=26, width=4, decoder_width=8),
    "csn_classifier": dict(depth=26, width=4, classes=5),
    "resnet3d_classifier": dict(depth=14, width=4, classes=5),
    "r2plus1d_classifier": dict(depth=10, width=4, classes=5),
}
SHAPE = (1, 3, 32, 48, 3)


def clip(shape=SHAPE):
    return np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)


def output_shape(system, shape):
    b, t, h, w, _ = shape
    return (b, t, -(-h // 4) * 4, -(-w // 4) * 4, 2) if system == "dcseg" else (b, 5)


@pytest.fixture(scope="module", params=SYSTEMS)
def model(request):
    return build_model(request.param, seed=3, **SMALL[request.param])


@pytest.fixture(scope="module")
def output(model):
    return np.asarray(forward(model, clip()))


def with_arguments(model, **changes):
    """The same weights in a network of other arguments."""
    other = build_model(model.system, **{**model.arguments, **changes})
    nnx.update(other, nnx.state(model))
    return other


def loss_and_gradient(model, x, mode):
    model = nnx.view(model, batch_norm=mode)
    graphdef, parameters, statistics = nnx.split(model, nnx.Param, nnx.BatchStat)

    def loss(parameters, statistics, x):
        copy = nnx.merge(graphdef, parameters, statistics, copy=True)
        return jnp.square(copy(x)).mean(), nnx.to_pure_dict(nnx.state(copy, nnx.BatchStat))

    step = jax.jit(jax.value_and_grad(loss, has_aux=True))
    return step(nnx.to_pure_dict(parameters), nnx.to_pure_dict(statistics), x)


def test_its_output_has_the_promised_shape_and_type(model, output):
    assert output.shape == output_shape(model.system, SHAPE)
    assert output.dtype == np.float32
    assert np.isfinite(output).all()


def test_its_card_makes_the_same_network(model):
    card = model_card(model)
    same = build_model(card["system"], seed=3, **card["arguments"])
    a, b = unstacked(model), unstacked(same)
    assert a.keys() == b.keys()
    for path in a:
        np.testing.assert_array_equal(a[path], b[path])


def test_another_seed_makes_other_weights_of_the_same_shapes(model):
    other = build_model(model.system, seed=4, **model.arguments)
    a, b = unstacked(model), unstacked(other)
    kernels = [path for path in a if path.endswith("/kernel")]
    assert {path: a[path].shape for path in a} == {path: b[path].shape for path in b}
    assert not any(np.array_equal(a[path], b[path]) for path in kernels)


def test_bytes_and_floats_mean_the_same_clip(model, output):
    np.testing.assert_allclose(forward(model, clip().astype(np.float32)), output, atol=1e-5)


@pytest.mark.parametrize("shape", [(1, 1, 33, 50, 3), (2, 5, 20, 17, 3)])
def test_it_takes_odd_sizes(model, shape):
    assert forward(model, clip(shape)).shape == output_shape(model.system, shape)


def test_a_prepared_network_gives_the_same_numbers(model, output):
    run = prepare(model, clip())
    assert np.abs(run(clip()) - output).max() <= 2e-5 * np.abs(output).max()
    with pytest.raises(ValueError, match=r"\(1, 3, 32, 48, 3\)"):
        run(clip((1, 3, 32, 32, 3)))


def test_half_precision_gives_nearly_the_same_numbers_in_single(model, output):
    half = with_arguments(model, dtype="bfloat16")
    value = forward(half, clip())
    assert value.dtype == jnp.float32
    assert np.abs(value - output).max() <= 0.1 * np.abs(output).max()
    prepared = prepare(half, clip())(clip())
    assert prepared.dtype == jnp.float32
    assert np.abs(prepared - output).max() <= 0.1 * np.abs(output).max()


@pytest.mark.slow
def test_every_weight_gets_a_gradient_and_frozen_statistics_stay(model):
    small = build_model(model.system, **{**model.arguments, "depth": min(14, model.arguments["depth"])})
    (_, statistics), gradient = loss_and_gradient(small, clip((2, 2, 64, 64, 3)), "frozen")
    for leaf in jax.tree.leaves(gradient):
        assert jnp.abs(leaf).max() > 0
    jax.tree.map(np.testing.assert_array_equal, statistics, _statistics(small))


@pytest.mark.slow
def test_remat_changes_neither_loss_nor_gradient_nor_statistics(model):
    # With lax, which compiles faster than the other forms.
    x = clip((2, 2, 64, 64, 3))
    (loss, statistics), gradient = loss_and_gradient(with_arguments(model, implementation="lax"), x, "train")
    (remat_loss, remat_statistics), remat_gradient = loss_and_gradient(
        with_arguments(model, implementation="lax", remat=True), x, "train"
    )
    assert float(remat_loss) == pytest.approx(float(loss), rel=1e-5)
    moved = jax.tree.map(lambda a, b: not np.array_equal(a, b), statistics, _statistics(model))
    assert all(jax.tree.leaves(moved))
    scale = max(float(jnp.abs(leaf).max()) for leaf in jax.tree.leaves(gradient))
    for a, b in zip(
        jax.tree.leaves((gradient, statistics)),
        jax.tree.leaves((remat_gradient, remat_statistics)),
        strict=True,
    ):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4 * scale)


def _statistics(model):
    return nnx.to_pure_dict(nnx.state(model, nnx.BatchStat))


@pytest.mark.parametrize(
    "arguments, words",
    [
        (dict(depth=18), "depth=18: choose from 14, 26, 50, 101, 152"),
        (dict(width=0), "above 0 as width, not 0"),
        (dict(dtype="float16"), "dtype='float16'"),
        (dict(dtype="float64"), "JAX_ENABLE_X64"),
        (dict(mean=[1.0, 2.0]), "three numbers, of red, green and blue, as mean"),
        (dict(std=[1.0, 0.0, 1.0]), "other than 0, of red, green and blue, as std"),
        (dict(epsilon=0.0), "above 0 as epsilon"),
        (dict(momentum=1.5), "from 0 to 1 as momentum"),
        (dict(stem_time_padding=-1), "from 0 as stem_time_padding"),
        (dict(separation="xx"), "separation='xx': choose from ir, ip"),
        (dict(colour="red"), "has no argument 'colour'"),
    ],
)
def test_an_impossible_argument_is_named(arguments, words):
    for system in ("dcseg", "csn_classifier"):
        with pytest.raises(UserError, match=words.replace("[", r"\[")) as error:
            build_model(system, **arguments)
        assert system in str(error.value) or "float64" in str(error.value)


def test_an_unknown_system_is_named():
    with pytest.raises(UserError, match="no system 'unet': choose from dcseg, csn_classifier, resnet3d"):
        build_model("unet")
