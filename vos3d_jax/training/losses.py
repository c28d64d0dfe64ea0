"""Losses of clip segmentation and the IoU that training logs. 3DC-Seg, section 4.2 and its released code."""

from typing import Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Integer

from vos3d_jax.models.resize import resize_trilinear

BOOTSTRAP_SHARE = 0.25


def segmentation_loss(
    logits: Float[Array, "b t h w k"],
    mask: Integer[Array, "b t h2 w2"],
    *,
    kind: Literal["cross_entropy", "binary_last"] = "cross_entropy",
    bootstrap: bool = False,
    ignore: Bool[Array, "b t h2 w2"] | Integer[Array, "b t h2 w2"] | None = None,
) -> Float[Array, ""]:
    """Returns the mean loss over all pixels, float32 at least.

    Args:
        logits: resized (trilinear) to the mask's height and width where they differ.
        mask: ids; with two classes every id but 0 is the foreground, with more an id is a class.
        kind: "cross_entropy" over the classes; or "binary_last", the released 3DC-Seg's: logistic loss of
            the last channel alone, so that the others get no gradient (though inference reads them).
        bootstrap: of each frame only the hardest quarter of the pixels counts.
        ignore: pixels where it is not 0 count as zeros; the mean still divides by all pixels.

    Raises:
        ValueError: for an unknown `kind`, or cross entropy of a single channel.
    """
    logits = _resized(logits, mask.shape[2:])
    if kind == "binary_last":
        last = logits[..., -1]
        losses = jax.nn.softplus(last) - last * (mask != 0)
    elif kind == "cross_entropy":
        losses = _cross_entropy(logits, mask)
    else:
        raise ValueError(f"no loss {kind!r}: cross_entropy or binary_last")
    if ignore is not None:
        losses = losses * (ignore == 0)
    if bootstrap:
        pixels = losses.shape[2] * losses.shape[3]
        hardest = max(1, int(BOOTSTRAP_SHARE * pixels))
        losses, _ = jax.lax.top_k(losses.reshape(*losses.shape[:2], pixels), hardest)
    return losses.mean()


def clip_iou(
    logits: Float[Array, "b t h w k"],
    mask: Integer[Array, "b t h2 w2"],
    ignore: Bool[Array, "b t h2 w2"] | Integer[Array, "b t h2 w2"] | None = None,
) -> Float[Array, ""]:
    """Returns the IoU of foreground (any id but 0), each clip as one volume, mean over the clips.

    1 for a clip where neither prediction nor mask has foreground. Pixels where `ignore` is not 0 count for
    neither.
    """
    predicted = _resized(logits, mask.shape[2:]).argmax(-1) != 0
    truth = mask != 0
    if ignore is not None:
        predicted, truth = predicted & (ignore == 0), truth & (ignore == 0)
    union = (predicted | truth).sum((1, 2, 3))
    both = (predicted & truth).sum((1, 2, 3))
    return jnp.where(union == 0, 1.0, both / jnp.maximum(union, 1)).mean()


def _resized(logits: Array, size: tuple[int, int]) -> Array:
    logits = logits.astype(jnp.promote_types(logits.dtype, jnp.float32))
    return logits if logits.shape[2:4] == size else resize_trilinear(logits, (logits.shape[1], *size))


def _cross_entropy(logits: Array, mask: Array) -> Array:
    classes = logits.shape[-1]
    if classes < 2:
        raise ValueError("cross entropy needs two channels of logits or more; use binary_last for one")
    target = (mask != 0) if classes == 2 else mask
    # A sum with one-hot targets instead of an indexed read: its gradient is elementwise, not a scatter.
    chosen = (logits * jax.nn.one_hot(target.astype(jnp.int32), classes, dtype=logits.dtype)).sum(-1)
    return jax.nn.logsumexp(logits, -1) - chosen
