"""Gradients and one training step of the published network equal the original's, in float64.

loss_grad: running statistics in every norm, gradients of scale and bias included; train_mode: batch
statistics (badly conditioned at this size, hence float64 only).
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from golden_files import load_npz, recipe
from golden_networks import golden_input, recipe_network, torch_layout

from vos3d_jax.constants import DCSEG_MEAN
from vos3d_jax.models import forward, stacking
from vos3d_jax.porting import rules
from vos3d_jax.training.losses import clip_iou, segmentation_loss

KINDS = {"bce": "binary_last", "ce": "cross_entropy"}


def golden_mask(name: str, shape: tuple[int, ...], *thresholds: float) -> jnp.ndarray:
    values = recipe.array(name, shape)[:, 0]
    return jnp.asarray(sum((values > threshold).astype(np.uint8) for threshold in thresholds))


def assert_sample(values, golden, name, tolerance):
    """`values` (PyTorch's axes) against a golden entry that is stored as float32."""
    step = int(golden.get(f"{name}__step", 1))
    largest = golden[f"{name}__stats"][3] if f"{name}__stats" in golden else np.abs(golden[name]).max()
    error = np.abs(np.asarray(values).reshape(-1)[::step] - golden[name].reshape(-1)).max() / largest
    assert error <= tolerance, f"{name}: {error:.1e}"


@pytest.fixture
def double():
    with jax.enable_x64(True):
        yield


def double_network():
    # The original's constants are float32, also where it computes in float64.
    mean = [float(np.float32(value)) for value in DCSEG_MEAN]
    model = recipe_network("dcseg", "3dcseg", depth=152, mean=mean, dtype="float64")
    graphdef, parameters, statistics = nnx.split(model, nnx.Param, nnx.BatchStat)
    wide = [
        jax.tree.map(lambda x: x.astype(jnp.float64), nnx.to_pure_dict(state))
        for state in (parameters, statistics)
    ]
    return graphdef, *wide


def by_torch_name(tree):
    flat = stacking.unstack(tree)
    names = rules.torch_names(flat, "3dcseg")
    return {names[path]: rules.to_torch(path, np.asarray(value)) for path, value in flat.items()}


def norm_error(gradients, names, expected):
    """The largest relative difference of the norms of parameter tensors."""
    norms = np.array([np.linalg.norm(gradients[str(name)].astype(np.float64)) for name in names])
    return np.abs(norms / expected - 1).max()


def total_loss(graphdef, batch_norm):
    """Compiled: (loss, (logits, statistics)), gradients; the loss is three losses, weighted by `shares`.

    One program serves all three losses: shares (1, 0, 0) is the first alone.
    """

    def loss(parameters, statistics, clip, mask, shares):
        model = nnx.merge(graphdef, parameters, statistics, copy=True)
        logits = nnx.view(model, batch_norm=batch_norm)(clip)
        values = [
            segmentation_loss(logits, mask, kind="binary_last"),
            segmentation_loss(logits, mask, kind="binary_last", bootstrap=True),
            segmentation_loss(logits, mask, kind="cross_entropy"),
        ]
        total = sum(share * value for share, value in zip(shares, values, strict=True))
        return total, (logits, nnx.to_pure_dict(nnx.state(model, nnx.BatchStat)))

    return jax.jit(jax.value_and_grad(loss, has_aux=True))


def assert_eight_losses(logits, golden, tolerance, sample_tolerance):
    """Each loss, its gradient by the logits and the IoU, relative to the original's in float64."""
    mask = golden_mask("dcseg.golden.loss.target", (1, 1, 8, 64, 64), 0.7, 0.9)
    ignore = jnp.asarray(recipe.array("dcseg.golden.loss.ignore", (1, 1, 8, 64, 64))[:, 0] < 0.1)
    losses = [key.removesuffix(".loss_f64") for key in golden if key.endswith(".loss_f64")]
    assert len(losses) == 8
    for loss in losses:
        options = dict(
            kind=KINDS[loss.split("_")[0]],
            bootstrap="bootstrap" in loss,
            ignore=ignore if "ignore" in loss else None,
        )
        value, gradient = jax.value_and_grad(
            lambda x, options=options: segmentation_loss(x, mask, **options)
        )(logits)
        assert value.dtype == logits.dtype
        assert abs(float(value) / golden[f"{loss}.loss_f64"] - 1) <= tolerance, loss
        assert_sample(torch_layout(gradient), golden, f"{loss}.dlogits", sample_tolerance)
        norms = np.sqrt(np.square(np.asarray(gradient, np.float64)).sum((0, 1, 2, 3)))
        np.testing.assert_allclose(norms, golden[f"{loss}.dlogits_norm_f64"], rtol=tolerance, atol=1e-12)
    # The published IoU does not leave ignored pixels out.
    assert float(clip_iou(logits, mask)) == pytest.approx(float(golden["ce.iou_f64"]), abs=1e-6)


@pytest.mark.slow
def test_losses_and_gradients_with_frozen_statistics_equal_the_original_in_float64(double):
    golden = load_npz("3dcseg/loss_grad.npz")
    graphdef, parameters, statistics = double_network()
    clip = 255 * golden_input("dcseg.golden.loss.clip", (1, 3, 8, 64, 64)).astype(jnp.float64)
    mask = golden_mask("dcseg.golden.loss.target", (1, 1, 8, 64, 64), 0.7, 0.9)
    names = [str(name) for name in golden["names"]]
    step = total_loss(graphdef, "frozen")
    for shares, loss in zip(np.eye(3), ("bce", "bce_bootstrap", "ce"), strict=True):
        (value, (logits, _)), gradient = step(parameters, statistics, clip, mask, jnp.asarray(shares))
        gradient = by_torch_name(gradient)
        assert_sample(torch_layout(logits), golden, "logits", 1e-6)  # stored from float32
        assert abs(float(value) / golden[f"{loss}.loss_f64"] - 1) <= 1e-8
        assert set(gradient) == set(names)
        assert norm_error(gradient, names, golden[f"{loss}.grad_norms_f64"]) <= 1e-8
        for entry in [key for key in golden if key.startswith(f"{loss}.grad.") and "__" not in key]:
            assert_sample(gradient[entry.removeprefix(f"{loss}.grad.")], golden, entry, 1e-7)
    assert_eight_losses(logits, golden, 1e-8, 1e-7)


@pytest.mark.slow
def test_gradients_in_float32_stay_within_the_originals_own_rounding():
    golden = load_npz("3dcseg/loss_grad.npz")
    graphdef, parameters, statistics = nnx.split(
        recipe_network("dcseg", "3dcseg", depth=152), nnx.Param, nnx.BatchStat
    )
    clip = 255 * golden_input("dcseg.golden.loss.clip", (1, 3, 8, 64, 64))
    mask = golden_mask("dcseg.golden.loss.target", (1, 1, 8, 64, 64), 0.7, 0.9)
    names = [str(name) for name in golden["names"]]
    step = total_loss(graphdef, "frozen")
    for shares, loss in zip(np.eye(3, dtype=np.float32), ("bce", "bce_bootstrap", "ce"), strict=True):
        (value, _), gradient = step(
            nnx.to_pure_dict(parameters), nnx.to_pure_dict(statistics), clip, mask, jnp.asarray(shares)
        )
        gradient = by_torch_name(gradient)
        assert abs(float(value) / golden[f"{loss}.loss_f64"] - 1) <= 1e-5
        assert norm_error(gradient, names, golden[f"{loss}.grad_norms_f64"]) <= 1e-5
        for entry in [key for key in golden if key.startswith(f"{loss}.grad.") and "__" not in key]:
            assert_sample(gradient[entry.removeprefix(f"{loss}.grad.")], golden, entry, 1e-4)


@pytest.mark.slow
def test_one_step_with_batch_statistics_equals_the_original_in_float64(double):
    golden = load_npz("3dcseg/train_mode.npz")
    graphdef, parameters, statistics = double_network()
    clip = 255 * golden_input("dcseg.golden.train.clip", (2, 3, 8, 64, 64)).astype(jnp.float64)
    mask = golden_mask("dcseg.golden.train.target", (2, 1, 8, 64, 64), 0.7)
    (value, (logits, statistics)), gradient = total_loss(graphdef, "train")(
        parameters, statistics, clip, mask, jnp.asarray([1.0, 0.0, 0.0])
    )
    gradient, statistics = by_torch_name(gradient), by_torch_name(statistics)
    names = [str(name) for name in golden["names"]]
    assert abs(float(value) / golden["loss_f64"] - 1) <= 1e-7
    assert_sample(torch_layout(logits), golden, "logits", 1e-7)
    assert norm_error(gradient, names, golden["grad_norms_f64"]) <= 1e-7
    for entry in [key for key in golden if key.startswith("grad.") and "__" not in key]:
        assert_sample(gradient[entry.removeprefix("grad.")], golden, entry, 1e-7)
    for entry in [key for key in golden if ".running_" in key and "__" not in key]:
        assert_sample(statistics[entry], golden, entry, 1e-7)


@pytest.mark.slow
def test_the_eight_losses_and_the_iou_in_float32_equal_the_original():
    model = recipe_network("dcseg", "3dcseg", depth=152)
    logits = forward(model, 255 * golden_input("dcseg.golden.loss.clip", (1, 3, 8, 64, 64)))
    assert_eight_losses(logits, load_npz("3dcseg/loss_grad.npz"), 1e-5, 1e-4)
