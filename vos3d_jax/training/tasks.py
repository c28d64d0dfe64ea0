"""What a system learns from a batch: the loop asks the task of its model for loss and metrics only."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from vos3d_jax.constants import VOID
from vos3d_jax.recipe import Stage
from vos3d_jax.training import losses

# Pixels of this id are neither object nor background.

Task = Callable[[nnx.Module, dict[str, Any], Stage], tuple[Float[Array, ""], dict[str, Float[Array, ""]]]]


def clip_segmentation(
    model: nnx.Module, batch: dict[str, Any], stage: Stage
) -> tuple[Float[Array, ""], dict[str, Float[Array, ""]]]:
    """Returns loss and metrics of one call on `clip` [b, t, h, w, 3] against `mask`, ids [b, t, h, w].

    The loss is the mean over the frames that have a mask; one that is all void has none.
    """
    logits = model(batch["clip"])
    mask = batch["mask"]
    void = mask == VOID
    loss = losses.segmentation_loss(
        logits, mask, kind=stage.loss.kind, bootstrap=stage.loss.bootstrap, ignore=void
    )
    # The published mean divides by all pixels, void ones too.
    loss = loss / jnp.maximum((~void).any((2, 3)).mean(), 1 / mask[..., 0, 0].size)
    return loss, {"loss": loss, "iou": losses.clip_iou(logits, mask, void)}


TASKS: dict[str, Task] = {"dcseg": clip_segmentation}
