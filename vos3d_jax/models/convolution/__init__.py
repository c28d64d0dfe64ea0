"""The two operations that decide the speed of these networks: dense and depthwise 3-d convolution.

Each has several implementations that compute the same thing; `implementation="auto"` takes the one that
`table.py` names for the shape and the backend. All of them pass tests/models/test_convolution.py: to add
one, write a file with `refuses(geometry)` and the function, add its row to the dictionary below, and a row
to the table with what was measured.

Clips are [batch, time, height, width, channels], kernels [time, height, width, inputs, outputs].
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from vos3d_jax.models.convolution import im2col, lax_form, shifted_sums, table, winograd
from vos3d_jax.models.convolution.bias import bias_add
from vos3d_jax.models.convolution.geometry import Geometry, Pairs, Triple
from vos3d_jax.models.convolution.pooling import max_pool3d

__all__ = [
    "DEPTHWISE_IMPLEMENTATIONS",
    "Geometry",
    "IMPLEMENTATIONS",
    "Implementation",
    "PreparedKernel",
    "bias_add",
    "choose",
    "conv3d",
    "depthwise_conv3d",
    "geometry_of",
    "max_pool3d",
    "prepare_kernel",
]


class Implementation(NamedTuple):
    """`function(x, kernel, geometry)`; `refuses(geometry)` says why not, or None.

    A form that transforms the kernel has two functions more, which do it apart: `prepare(kernel)` gives the
    arrays that `prepared(x, arrays, geometry)` takes in place of the kernel.
    """

    function: Callable
    refuses: Callable[[Geometry], str | None] = lambda geometry: None
    prepare: Callable | None = None
    prepared: Callable | None = None


def _winograd(tile: winograd.Tile) -> Implementation:
    return Implementation(
        partial(winograd.convolve, tile=tile),
        winograd.refuses,
        partial(winograd.prepare, tile=tile),
        partial(winograd.convolve_prepared, tile=tile),
    )


IMPLEMENTATIONS: dict[str, Implementation] = {
    "lax": Implementation(lax_form.convolve),
    "dot": Implementation(lax_form.dot, lax_form.refuses_dot),
    "time_in_channels": Implementation(lax_form.time_in_channels, lax_form.refuses_time_in_channels),
    "im2col": Implementation(im2col.im2col, im2col.refuses_im2col),
    "few_outputs": Implementation(im2col.few_outputs, im2col.refuses_few_outputs),
    "winograd_2_2": _winograd(winograd.Tile(2, 2)),
    "winograd_2_4": _winograd(winograd.Tile(2, 4)),
    "winograd_4_4": _winograd(winograd.Tile(4, 4)),
}
DEPTHWISE_IMPLEMENTATIONS: dict[str, Implementation] = {
    "lax": Implementation(lax_form.convolve_depthwise),
    "shifted_sums": Implementation(shifted_sums.convolve, shifted_sums.refuses),
}


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class PreparedKernel:
    """A kernel transformed for one form, once (`prepare_kernel`); `shape` is that of the kernel it was."""

    arrays: Sequence[Array]
    shape: tuple[int, ...] = field(metadata={"static": True})
    implementation: str = field(metadata={"static": True})


def conv3d(
    x: Float[Array, "b t h w i"],
    kernel: Float[Array, "kt kh kw i o"] | PreparedKernel,
    *,
    stride: Triple = (1, 1, 1),
    padding: Pairs = ((0, 0), (0, 0), (0, 0)),
    dilation: Triple = (1, 1, 1),
    implementation: str = "auto",
) -> Float[Array, "b t2 h2 w2 o"]:
    """Returns the cross-correlation of x with the kernel, as PyTorch's conv3d does; computed in x's dtype.

    Args:
        x: clip features.
        kernel: cast to x's dtype; or a prepared one, for inference, which brings its implementation.
        stride: of (time, height, width).
        padding: zeros (before, after) on each of the three axes.
        dilation: distance of the taps on each of the three axes.
        implementation: "auto", or a name in `IMPLEMENTATIONS`.

    Raises:
        ValueError: an unknown implementation, or one that does not apply to this shape (says why).
    """
    geometry = geometry_of(x.shape, kernel.shape, stride, padding, dilation)
    if isinstance(kernel, PreparedKernel):
        return _named(IMPLEMENTATIONS, kernel.implementation, geometry).prepared(x, kernel.arrays, geometry)
    if implementation == "auto":
        implementation = choose(geometry, dtype=x.dtype, backend=_backend(), trained=True)
    return _named(IMPLEMENTATIONS, implementation, geometry).function(x, kernel.astype(x.dtype), geometry)


def depthwise_conv3d(
    x: Float[Array, "b t h w c"],
    kernel: Float[Array, "kt kh kw 1 c"],
    *,
    stride: Triple = (1, 1, 1),
    padding: Pairs = ((0, 0), (0, 0), (0, 0)),
    dilation: Triple = (1, 1, 1),
    implementation: str = "auto",
) -> Float[Array, "b t2 h2 w2 c"]:
    """Returns the convolution of every channel with its own kernel (PyTorch: groups = channels).

    Arguments and errors as `conv3d`; names are those of `DEPTHWISE_IMPLEMENTATIONS`.
    """
    geometry = geometry_of(x.shape, kernel.shape, stride, padding, dilation)
    if implementation == "auto":
        implementation = choose(geometry, depthwise=True, dtype=x.dtype, backend=_backend())
    form = _named(DEPTHWISE_IMPLEMENTATIONS, implementation, geometry)
    return form.function(x, kernel.astype(x.dtype), geometry)


def choose(
    geometry: Geometry,
    *,
    depthwise: bool = False,
    dtype: jax.typing.DTypeLike = jnp.float32,
    backend: str = "cpu",
    trained: bool = False,
) -> str:
    """Returns the name of the implementation that "auto" uses: the first row of the table that holds.

    `backend` is jax's name of the platform ("cpu", "gpu", "tpu"). `trained` says that the kernel is not
    prepared, so that a transform of it is part of every call.
    """
    if backend != "cpu":
        rows = table.ACCELERATOR_DEPTHWISE if depthwise else table.ACCELERATOR_DENSE
    elif depthwise:
        rows = table.CPU_DEPTHWISE
    elif jnp.dtype(dtype).itemsize < 4:
        rows = table.CPU_DENSE_HALF
    else:
        rows = table.CPU_DENSE_TRAINED if trained else table.CPU_DENSE
    known = DEPTHWISE_IMPLEMENTATIONS if depthwise else IMPLEMENTATIONS
    return next(row.name for row in rows if known[row.name].refuses(geometry) is None and row.holds(geometry))


def prepare_kernel(
    kernel: Float[Array, "kt kh kw i o"] | Float[np.ndarray, "kt kh kw i o"], implementation: str
) -> PreparedKernel | None:
    """Returns what `conv3d` takes in place of the kernel, or None where the form uses the kernel as it is.

    For inference: done once on the host, it takes the kernel transform out of every call. `implementation`
    is a name, as `choose` returns it.
    """
    prepare = IMPLEMENTATIONS[implementation].prepare
    return None if prepare is None else PreparedKernel(prepare(kernel), tuple(kernel.shape), implementation)


def geometry_of(
    shape: tuple[int, ...],
    kernel_shape: tuple[int, ...],
    stride: Triple = (1, 1, 1),
    padding: Pairs = ((0, 0), (0, 0), (0, 0)),
    dilation: Triple = (1, 1, 1),
) -> Geometry:
    """Returns what `refuses` is asked about, from the shapes of x and kernel."""
    return Geometry(
        batch=shape[0],
        size=tuple(shape[1:4]),
        inputs=shape[4],
        kernel=tuple(kernel_shape[:3]),
        outputs=kernel_shape[4],
        stride=tuple(stride),
        padding=tuple(tuple(pair) for pair in padding),
        dilation=tuple(dilation),
    )


def _named(known, name, geometry) -> Implementation:
    if name not in known:
        raise ValueError(f"no convolution is called {name!r}: choose from auto, {', '.join(known)}")
    reason = known[name].refuses(geometry)
    if reason is not None:
        raise ValueError(f"{name!r} does not apply here: {reason}")
    return known[name]


def _backend() -> str:
    return jax.default_backend()
