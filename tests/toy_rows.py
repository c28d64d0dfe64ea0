"""A sample and a task that are no part of the package: clips with a label and boxes; learning the label."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import optax
import pytest

from vos3d_jax.data import samples
from vos3d_jax.data.augmentation import Augmentation
from vos3d_jax.data.samples import Clip
from vos3d_jax.training import tasks


@dataclasses.dataclass(frozen=True)
class LabelledClip:
    """Clips with `label` [], of the video's name, and `box` [t, 4], of its objects: rows, then columns."""

    sparse: bool = False
    augmentation: Augmentation = Augmentation()
    margin: int = 0

    def draw(self, footage, index, rng):
        sample = Clip(augmentation=self.augmentation).draw(footage, index, rng)
        return {
            **sample,
            "label": np.int32(int(footage.video.name[-1]) % 2),
            "box": np.array([_box(mask, self.margin) for mask in sample["mask"]], np.float32),
        }


def _box(mask, margin):
    rows, columns = np.nonzero(mask)
    if not len(rows):
        return 0, 0, 0, 0
    return rows.min() - margin, rows.max() + margin, columns.min() - margin, columns.max() + margin


@dataclasses.dataclass(frozen=True)
class Labelling:
    """The label by the mean of a network's logits [b, t, h, w, 2]; boxes are only measured."""

    smoothing: float = 0.0

    def __call__(self, model, batch):
        logits = model(batch["clip"]).mean((1, 2, 3))
        targets = optax.smooth_labels(jnp.eye(2)[batch["label"]], self.smoothing)
        right = logits.argmax(-1) == batch["label"]
        return optax.softmax_cross_entropy(logits, targets).mean(), {
            "accuracy": right.mean(),
            "box_height": (batch["box"][..., 1] - batch["box"][..., 0]).mean(),
        }

    @staticmethod
    def can_train(model):
        return model.segments


def register(patch: pytest.MonkeyPatch) -> None:
    """Adds a row for each until `patch` is undone."""
    patch.setitem(samples.SAMPLES, "labelled_clip", LabelledClip)
    patch.setitem(tasks.TASKS, "labelling", Labelling)
