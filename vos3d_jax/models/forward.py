"""Compiled calls of a model: `forward` for anyone, `prepare` for many clips of one shape."""

import functools
from collections.abc import Callable

import jax
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, Num


def forward(
    model: nnx.Module, clip: Num[Array, "b t h w 3"] | Num[np.ndarray, "b t h w 3"]
) -> Float[Array, "..."]:
    """The output of `model` for `clip` with frozen batch norm, compiled once per kind of model and shape.

    Changed weights are seen by the next call; nothing is compiled again for them.
    """
    graphdef, state = nnx.split(model)
    return _call(graphdef, nnx.to_pure_dict(state), clip)


@functools.partial(jax.jit, static_argnums=0)
def _call(graphdef: nnx.GraphDef, state: dict, clip: Array) -> Array:
    return nnx.merge(graphdef, state)(clip)


def prepare(model: nnx.Module, clip_shape: tuple[int, ...]) -> Callable[[Array], Array]:
    """An inference function for clips of `clip_shape` [b, t, h, w, 3]."""
    return functools.partial(forward, model)
