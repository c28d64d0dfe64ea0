"""Segmentation of clips: every frame of a clip against its mask, all frames at once."""

from dataclasses import dataclass
from typing import Literal

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from vos3d_jax.constants import VOID
from vos3d_jax.training import losses


@dataclass(frozen=True)
class ClipSegmentation:
    """Loss and IoU of one call on `clip` [b, t, h, w, 3] against `mask`, ids [b, t, h, w].

    Attributes:
        kind: the loss: of `losses.segmentation_loss`.
        bootstrap: of each frame only the hardest quarter of the pixels counts.
    """

    kind: Literal["cross_entropy", "binary_last"] = "cross_entropy"
    bootstrap: bool = False

    def __call__(
        self, model: nnx.Module, batch: dict[str, jax.Array]
    ) -> tuple[Float[Array, ""], dict[str, Float[Array, ""]]]:
        """Returns the mean loss of the frames that have a mask (one that is all void has none), and `iou`."""
        logits = model(batch["clip"])
        mask = batch["mask"]
        void = mask == VOID
        loss = losses.segmentation_loss(logits, mask, kind=self.kind, bootstrap=self.bootstrap, ignore=void)
        # The published mean divides by all pixels, void ones too.
        loss = loss / jnp.maximum((~void).any((2, 3)).mean(), 1 / mask[..., 0, 0].size)
        return loss, {"iou": losses.clip_iou(logits, mask, void)}

    @staticmethod
    def can_train(model: nnx.Module) -> bool:
        """Returns whether `model` segments clips."""
        return model.segments
