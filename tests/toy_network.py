"""A network of two convolutions that compiles in a moment, for tests of everything around a network."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from vos3d_jax import models, recipe
from vos3d_jax.inference.registry import PREDICTORS


class Toy(nnx.Module):
    system = "toy"
    segments = True

    def __init__(self, *, width: int = 4, dtype: str = "float32", implementation: str = "auto", rng):
        self.mode = "frozen"
        # A tuple, because a graph definition must be hashable.
        self._arguments = (("width", width), ("dtype", dtype), ("implementation", implementation))
        self.encoder = nnx.Dict(
            kernel=nnx.Param(jnp.asarray(rng.normal(size=(1, 3, 3, 3, width)) / 5, jnp.float32)),
            norm=nnx.Dict(
                scale=nnx.Param(jnp.ones(width)),
                bias=nnx.Param(jnp.zeros(width)),
                mean=nnx.BatchStat(jnp.zeros(width)),
            ),
        )
        self.head = nnx.Dict(
            kernel=nnx.Param(jnp.asarray(rng.normal(size=(1, 1, 1, width, 2)) / 3, jnp.float32))
        )

    @property
    def arguments(self):
        return dict(self._arguments)

    def set_view(self, batch_norm=None):
        self.mode = batch_norm or self.mode

    def __call__(self, clip):
        norm = self.encoder["norm"]
        x = _conv(clip.astype(jnp.float32) / 255, self.encoder["kernel"][...])
        mean = norm["mean"][...]
        if self.mode == "train":
            mean = x.mean((0, 1, 2, 3))
            norm["mean"][...] = 0.9 * norm["mean"][...] + 0.1 * mean
        x = jax.nn.relu((x - mean) * norm["scale"][...] + norm["bias"][...])
        return _conv(x, self.head["kernel"][...])


def _conv(x, kernel):
    return jax.lax.conv_general_dilated(
        x, kernel, (1, 1, 1), "SAME", dimension_numbers=("NDHWC", "DHWIO", "NDHWC")
    )


def register(patch: pytest.MonkeyPatch) -> None:
    """Makes "toy" a known system until `patch` is undone."""
    patch.setitem(models.SYSTEMS, "toy", Toy)
    patch.setitem(PREDICTORS, "toy", PREDICTORS["dcseg"])


@pytest.fixture
def toy_system(monkeypatch):
    register(monkeypatch)


SIZE = (32, 32)
_PART = {"name": "moving_shapes", "augmentation": {"short_edge": None}}
STILLS = {**_PART, "split": "stills", "kind": "still", "options": {"count": 6, "length": 1, "size": SIZE}}
VIDEOS = {**_PART, "split": "train", "options": {"count": 2, "length": 6, "size": SIZE}}
VAL = {**_PART, "split": "val", "options": {"count": 1, "length": 4, "size": SIZE}}

PREDICTOR = {"clip_length": 2, "overlap": 1, "short_edge": 0}


def stage(name="pretrain", **changes) -> dict:
    values = {
        "name": name,
        "data": [STILLS if name == "pretrain" else VIDEOS],
        "size": SIZE,
        "clip_length": 2,
        "batch_size": 2,
        "steps": 6,
        "optimiser": {"learning_rate": 0.01},
        "batch_norm": "train" if name == "pretrain" else "frozen",
    }
    return {**values, **changes}


def config(**changes) -> recipe.Config:
    """A config of two stages of six steps for the toy network."""
    values = {
        "name": "toy",
        "system": "toy",
        "stages": [stage("pretrain"), stage("finetune")],
        "evaluation": {
            "benchmark": "moving_shapes",
            "data": VAL,
            "predictor": PREDICTOR,
        },
        "log_steps": 1,
    }
    return recipe.parse({**values, **changes})


def batch(clips=2, frames=2, size=SIZE, seed=0) -> dict[str, np.ndarray]:
    """A red square on noise, and its mask."""
    rng = np.random.default_rng(seed)
    clip = rng.integers(0, 100, (clips, frames, *size, 3), dtype=np.uint8)
    mask = np.zeros((clips, frames, *size), np.uint8)
    mask[:, :, 8:20, 8:20] = 1
    clip[..., 0][mask == 1] = 250
    return {"clip": clip, "mask": mask}
