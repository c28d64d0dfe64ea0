"""Compiled calls of a network: `forward` for anyone, `prepare` for many inputs of one shape."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, Num

from vos3d_jax.models import convolution, observe
from vos3d_jax.models.layers import Conv, PreparedConv


def forward(
    model: nnx.Module, clip: Num[Array, "b t h w 3"] | Num[np.ndarray, "b t h w 3"]
) -> Float[Array, "..."]:
    """Returns the output of `model` for `clip`, compiled once for each kind of model and shape.

    Changed weights are seen by the next call; nothing is compiled again for them. Where many clips of one
    shape are to be run, `prepare` is faster.

    Args:
        model: a network, such as `build_model` makes or `load_model` reads.
        clip: RGB 0..255, uint8 or float (both mean the same), of any size; the network normalises it.

    Returns:
        Of a segmentation network logits [b, t, h, w, classes], float32 (float64 for a network of that dtype),
        not probabilities; the last class is the foreground. Its height and width are those of the clip
        rounded up to multiples of 4, its length is that of the clip (4 frames more for the `dcseg` of
        `stem_time_padding` 3). Of a classifier logits [b, classes].

    Raises:
        UserError: the clip is too small or has too many or too few frames for this network's decoder.
    """
    graphdef, state = nnx.split(model)
    return _call(graphdef, "__call__", nnx.to_pure_dict(state), clip)


def prepare(model: nnx.Module, *inputs: Any, method: str = "__call__") -> Callable[..., Any]:
    """Returns `model.method` for inputs like these, compiled: the fastest way to run it many times.

    In float32 at the highest matmul precision (`jax.default_matmul_precision`; a CPU always computes so) it
    equals `forward` to 2e-5 of the largest logit; elsewhere to the rounding of that precision. Batch norm is
    folded into the kernels and the kernels are transformed for the forms that suit these sizes, once. It
    holds its own weights, on a CPU up to 8 times those that are not stacked: later changes of `model` do not
    reach it. The first call compiles. Batch norm is frozen, whichever view of the network is given.

    Args:
        model: a network.
        inputs: arrays, or `jax.ShapeDtypeStruct`s in place of them, in any nesting. Only their shapes count:
            a clip may come as bytes and as floats.
        method: its name.

    Raises:
        ValueError: by the function, for inputs of other shapes.
    """
    model = nnx.view(model, batch_norm="frozen", raise_if_not_found=False)
    expected = _shapes(inputs)
    calls: dict[tuple[Any, ...], list[observe.Observed]] = {}
    for call in observe.convolutions(model, *inputs, method=method):
        calls.setdefault(call.path, []).append(call)

    def prepared(path: tuple[Any, ...], node: Any) -> Any:
        if path not in calls:
            return node
        forms = {_form(node, call) for call in calls[path]}
        return PreparedConv(node, calls[path][0].dtype, forms.pop() if len(forms) == 1 else "auto")

    graphdef, state = nnx.split(nnx.recursive_map(prepared, model))
    state = nnx.to_pure_dict(state)

    def run(*inputs: Any) -> Any:
        if _shapes(inputs) != expected:
            raise ValueError(f"prepared for inputs of shapes {expected}, got {_shapes(inputs)}")
        return _call(graphdef, method, state, *inputs)

    return run


def _form(conv: Conv, call: observe.Observed) -> str:
    """The form to transform the kernel for, or "auto" where it stays as it is."""
    stacked = conv.kernel.ndim > 5
    if stacked or conv.depthwise or conv.implementation != "auto":
        return "auto"
    name = convolution.choose(call.geometry, dtype=call.dtype, backend=jax.default_backend())
    return "auto" if convolution.IMPLEMENTATIONS[name].prepare is None else name


def _shapes(inputs: Any) -> Any:
    return jax.tree.map(lambda x: x.shape, inputs)


@functools.partial(jax.jit, static_argnums=(0, 1))
def _call(graphdef: nnx.GraphDef, method: str, state: dict, *inputs: Any) -> Any:
    return getattr(nnx.merge(graphdef, state), method)(*inputs)
