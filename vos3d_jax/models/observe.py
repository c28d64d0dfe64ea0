"""Which convolutions a network computes, on inputs of which shape and how often: found by tracing it."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.extend import core
from jaxtyping import Array

from vos3d_jax.models.convolution import Geometry
from vos3d_jax.models.layers import Conv

# Of the jitted functions that stand for convolutions in the traced program; their numbers follow.
_MARK = "observed convolution "


@dataclass(frozen=True)
class Observed:
    """A convolution that a network computes.

    Attributes:
        path: of its `Conv` in the network, as in `nnx.iter_modules`; equal blocks of a stage share one.
        geometry: the shapes of its input, kernel and output, and its stride, padding and dilation.
        depthwise: whether each channel has its own kernel, of one input.
        dtype: of its input and output.
        count: how often it is computed on an input of this shape.
    """

    path: tuple[Any, ...]
    geometry: Geometry
    depthwise: bool
    dtype: np.dtype
    count: int


def convolutions(model: nnx.Module, *inputs: Any, method: str = "__call__") -> list[Observed]:
    """Returns every convolution of `Conv` that `model.method(*inputs)` computes, in the order of the first.

    Nothing is computed. A convolution under
    `lax.scan` counts as often as the scan is long.

    Args:
        model: with or without weights.
        inputs: arrays, or `jax.ShapeDtypeStruct`s in place of them, in any nesting.
        method: its name.
    """
    convs: list[tuple[tuple[Any, ...], Conv]] = []

    def marked(path: tuple[Any, ...], node: Any) -> Any:
        if not isinstance(node, Conv):
            return node
        convs.append((path, node))
        return _Marked(node, len(convs) - 1)

    graphdef, state = nnx.split(nnx.recursive_map(marked, model))

    def call(state: dict, *inputs: Any) -> Any:
        return getattr(nnx.merge(graphdef, state, copy=True), method)(*inputs)

    program = jax.make_jaxpr(call)(nnx.to_pure_dict(state), *inputs)
    seen = []
    for (number, x), count in _counts(program.jaxpr).items():
        path, conv = convs[number]
        seen.append(Observed(path, conv.geometry(x.shape), conv.depthwise, x.dtype, count))
    return seen


class _Marked(nnx.Module):
    """In place of a `Conv`: gives zeros, by a call that is found again in the traced program."""

    def __init__(self, conv: Conv, number: int):
        # Kept, because a scan is as long as the parameters of its blocks.
        self.conv, self.number = conv, number

    def __call__(self, x: Array) -> Array:
        geometry = self.conv.geometry(x.shape)

        def zeros(x: Array) -> Array:
            return jnp.zeros((geometry.batch, *geometry.output, geometry.outputs), x.dtype)

        zeros.__name__ = f"{_MARK}{self.number}"
        return jax.jit(zeros)(x)


def _counts(program: core.Jaxpr) -> Counter[tuple[int, jax.ShapeDtypeStruct]]:
    """How often each marked convolution is called on inputs of each shape."""
    counts: Counter[tuple[int, jax.ShapeDtypeStruct]] = Counter()
    for step in program.eqns:
        name = str(step.params.get("name"))
        if name.startswith(_MARK):
            x = step.invars[0].aval
            counts[int(name.removeprefix(_MARK)), jax.ShapeDtypeStruct(x.shape, x.dtype)] += 1
            continue
        times = step.params["length"] if step.primitive.name == "scan" else 1
        for inner in core.jaxprs_in_params(step.params):
            for call, count in _counts(inner).items():
                counts[call] += times * count
    return counts
