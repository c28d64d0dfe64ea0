"""Compiled calls of a network: `forward` for anyone, `prepare` for many clips of one shape."""

import functools
from collections.abc import Callable

import jax
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, Num

from vos3d_jax.models.layers import Conv

Clip = Num[Array, "b t h w 3"] | Num[np.ndarray, "b t h w 3"]


def forward(model: nnx.Module, clip: Clip) -> Float[Array, "..."]:
    """The output of `model` for `clip` with frozen batch norm, compiled once per kind of model and shape.

    Changed weights are seen by the next call; nothing is compiled again for them.
    """
    graphdef, state = nnx.split(model)
    return _call(graphdef, nnx.to_pure_dict(state), clip)


def prepare(model: nnx.Module, clip_shape: tuple[int, ...]) -> Callable[[Clip], Float[Array, "..."]]:
    """An inference function for clips of `clip_shape` [b, t, h, w, 3]: the fastest way to run many of them.

    In float32 at the highest matmul precision (`jax.default_matmul_precision`; a CPU always computes so) it
    equals `forward` to 2e-5 of the largest logit; elsewhere to the rounding of that precision. Batch norm is
    folded into the kernels and the kernels are transformed for the forms that suit these sizes, once. It
    holds its own weights, on a CPU up to 8 times those of the decoder: later changes of `model` do not reach
    it. The first call compiles.

    Raises:
        ValueError: by the function, for a clip of another shape.
    """
    clip_shape = tuple(clip_shape)
    model = nnx.clone(model)
    settings = dict(model.arguments)
    for _, module in nnx.iter_modules(model):
        if isinstance(module, Conv):
            module.fold(settings["dtype"])
    if settings["implementation"] == "auto":
        for conv, shape in model.convolutions(clip_shape):
            conv.prepare(shape, settings["dtype"])
    graphdef, state = nnx.split(model)
    state = nnx.to_pure_dict(state)

    def run(clip: Clip) -> Array:
        if clip.shape != clip_shape:
            raise ValueError(f"prepared for clips of shape {clip_shape}, got one of {clip.shape}")
        return _call(graphdef, state, clip)

    return run


@functools.partial(jax.jit, static_argnums=0)
def _call(graphdef: nnx.GraphDef, state: dict, clip: Array) -> Array:
    return nnx.merge(graphdef, state)(clip)
