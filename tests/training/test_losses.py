import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from vos3d_jax.training.losses import clip_iou, segmentation_loss
from vos3d_jax.training.tasks.clip import ClipSegmentation

KINDS = {"bce": "binary_last", "ce": "cross_entropy"}


def random(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


@pytest.fixture
def double():
    with jax.enable_x64(True):
        yield


def slow_loss(logits, mask, kind, bootstrap, ignore):
    """The definition, pixel by pixel order, in float64."""
    foreground = mask != 0
    if kind == "binary_last":
        p = 1 / (1 + np.exp(-logits[..., -1]))
        losses = -np.where(foreground, np.log(p), np.log(1 - p))
    else:
        p = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
        losses = -np.log(np.where(foreground, p[..., 1], p[..., 0]))
    if ignore is not None:
        losses = losses * (ignore == 0)
    if not bootstrap:
        return losses.mean()
    frames = losses.reshape(-1, losses.shape[2] * losses.shape[3])
    kept = max(1, int(0.25 * frames.shape[1]))
    return np.mean([np.sort(frame)[::-1][:kept].mean() for frame in frames])


@pytest.mark.parametrize("ignored", [False, True])
@pytest.mark.parametrize("bootstrap", [False, True])
@pytest.mark.parametrize("kind", KINDS.values())
def test_the_eight_losses_follow_their_definitions(double, kind, bootstrap, ignored):
    logits = random(2, 3, 5, 7, 2)
    mask = (random(2, 3, 5, 7, seed=1) > 0.3).astype(np.uint8) * 3
    ignore = (random(2, 3, 5, 7, seed=2) > 1).astype(np.uint8) if ignored else None
    given = None if ignore is None else jnp.asarray(ignore)
    value = segmentation_loss(
        jnp.asarray(logits), jnp.asarray(mask), kind=kind, bootstrap=bootstrap, ignore=given
    )
    assert float(value) == pytest.approx(slow_loss(logits, mask, kind, bootstrap, ignore), rel=1e-12)


def test_the_released_loss_trains_the_last_channel_only():
    # Trap: inference reads both channels; hence the default is cross entropy.
    mask = jnp.ones((1, 1, 2, 2), jnp.uint8)
    logits = jnp.asarray(random(1, 1, 2, 2, 2), jnp.float32)
    assert not jax.grad(lambda x: segmentation_loss(x, mask, kind="binary_last"))(logits)[..., 0].any()
    assert jax.grad(lambda x: segmentation_loss(x, mask))(logits)[..., 0].all()


def test_ignored_pixels_stay_in_the_denominator():
    mask = jnp.zeros((1, 1, 2, 2), jnp.uint8)
    ignore = jnp.asarray([[[[1, 1], [1, 0]]]], jnp.uint8)
    value = segmentation_loss(jnp.zeros((1, 1, 2, 2, 2)), mask, ignore=ignore)
    assert float(value) == pytest.approx(np.log(2) / 4)


def test_logits_of_another_size_are_resized_to_the_mask():
    mask = jnp.zeros((1, 2, 8, 12), jnp.uint8)
    assert float(segmentation_loss(jnp.zeros((1, 2, 2, 3, 2)), mask)) == pytest.approx(np.log(2), rel=1e-5)
    assert segmentation_loss(jnp.zeros((1, 2, 2, 3, 2), jnp.bfloat16), mask).dtype == jnp.float32


def test_large_logits_overflow_nowhere():
    mask = jnp.asarray([[[[0, 1]]]], jnp.uint8)
    logits = jnp.asarray([[[[[-1e4, 1e4], [-1e4, 1e4]]]]], jnp.float32)
    for kind in KINDS.values():
        value, gradient = jax.value_and_grad(lambda x, kind=kind: segmentation_loss(x, mask, kind=kind))(
            logits
        )
        assert np.isfinite(value) and np.isfinite(gradient).all()


def test_an_unknown_loss_and_one_channel_are_refused():
    mask = jnp.zeros((1, 1, 2, 2), jnp.uint8)
    with pytest.raises(ValueError, match="two channels"):
        segmentation_loss(jnp.zeros((1, 1, 2, 2, 1)), mask)
    with pytest.raises(ValueError, match="'dice'"):
        segmentation_loss.__wrapped__(jnp.zeros((1, 1, 2, 2, 2)), mask, kind="dice")


def test_clip_iou_counts_the_whole_clip_and_is_one_without_any_foreground():
    logits = np.zeros((2, 2, 1, 2, 2), np.float32)
    logits[0, :, 0, 0, 1] = 1  # the left pixel of both frames is predicted
    mask = np.zeros((2, 2, 1, 2), np.uint8)
    mask[0, 0, 0] = 2  # both pixels of the first frame are true
    value = clip_iou(jnp.asarray(logits), jnp.asarray(mask))
    assert float(value) == pytest.approx((1 / 3 + 1) / 2)


def test_void_pixels_count_neither_for_the_iou_nor_against_it():
    # Trap: an id of 255 is not 0, so void would pass for foreground, and predicting it would be rewarded.
    logits = np.zeros((1, 1, 1, 4, 2), np.float32)
    logits[..., :3, 1] = 1  # the three pixels on the left are predicted
    mask = jnp.asarray([[[[1, 0, 255, 255]]]], jnp.uint8)
    assert float(clip_iou(jnp.asarray(logits), mask, mask == 255)) == pytest.approx(1 / 2)

    class Echo(nnx.Module):
        def __call__(self, clip):
            return clip

    _, metrics = ClipSegmentation()(Echo(), {"clip": jnp.asarray(logits), "mask": mask})
    assert float(metrics["iou"]) == pytest.approx(1 / 2)


class _Constant(nnx.Module):
    """A network that says the same of every clip."""

    def __init__(self, logits):
        self.logits = nnx.Variable(logits)

    def __call__(self, clip):
        return self.logits[...]


def test_frames_without_a_mask_do_not_thin_the_loss_of_those_that_have_one():
    """Trap: the published mean divides by void pixels too: one mask in eight frames would count an eighth."""
    rng = np.random.default_rng(0)
    logits = jnp.asarray(rng.normal(size=(2, 4, 6, 5, 2)), jnp.float32)
    mask = rng.integers(0, 2, (2, 4, 6, 5)).astype(np.uint8)

    def loss(logits, mask):
        batch = {"clip": jnp.zeros(mask.shape), "mask": jnp.asarray(mask)}
        return float(ClipSegmentation()(_Constant(logits), batch)[0])

    sparse = mask.copy()
    sparse[:, 1:] = 255
    assert loss(logits, sparse) == pytest.approx(loss(logits[:, :1], mask[:, :1]), rel=1e-6)
    partly = mask.copy()
    partly[:, :, 0] = 255  # void within a frame stays in the denominator, as published
    assert loss(logits, partly) < loss(logits, mask)
