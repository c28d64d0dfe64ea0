"""The two operations that decide the speed of these networks: dense and depthwise 3-d convolution.

Each has several implementations that compute the same thing; `implementation="auto"` takes the one that
`table.py` names for the shape and the backend. All of them pass tests/models/test_convolution.py: to add
one, write a file with `refuses(geometry)` and the function, add its row to the dictionary below, and a row
to the table with what was measured.

Clips are [batch, time, height, width, channels], kernels [time, height, width, inputs, outputs].
"""

from collections.abc import Callable
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
    "IMPLEMENTATIONS",
    "Implementation",
    "bias_add",
    "choose",
    "conv3d",
    "depthwise_conv3d",
    "geometry_of",
    "max_pool3d",
    "prepare_kernel",
]


class Implementation(NamedTuple):
    """`function(x, kernel, geometry)`; `refuses(geometry)` says why not, or None; `prepare(kernel)`."""

    function: Callable
    refuses: Callable[[Geometry], str | None] = lambda geometry: None
    prepare: Callable | None = None


def _winograd(tile: winograd.Tile) -> Implementation:
    return Implementation(
        partial(winograd.convolve, tile=tile), winograd.refuses, partial(winograd.prepare, tile=tile)
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


def conv3d(
    x: Float[Array, "b t h w i"],
    kernel: Float[Array, "kt kh kw i o"],
    *,
    stride: Triple = (1, 1, 1),
    padding: Pairs = ((0, 0), (0, 0), (0, 0)),
    dilation: Triple = (1, 1, 1),
    implementation: str = "auto",
    prepared: tuple | None = None,
) -> Float[Array, "b t2 h2 w2 o"]:
    """Returns the cross-correlation of x with the kernel, as PyTorch's conv3d does; computed in x's dtype.

    Args:
        x: clip features.
        kernel: cast to x's dtype.
        stride: of (time, height, width).
        padding: zeros (before, after) on each of the three axes.
        dilation: distance of the taps on each of the three axes.
        implementation: "auto", or a name in `IMPLEMENTATIONS`.
        prepared: what `prepare_kernel` made of this kernel for this implementation; for inference only.

    Raises:
        ValueError: an unknown implementation, or one that does not apply to this shape (says why).
    """
    geometry = geometry_of(x.shape, kernel.shape, stride, padding, dilation)
    if implementation == "auto":
        implementation = choose(
            x.shape, kernel.shape, stride, padding, dilation, x.dtype, _backend(), prepared is None
        )
    chosen = _named(IMPLEMENTATIONS, implementation, geometry)
    if prepared is not None:
        if chosen.prepare is None:
            raise ValueError(f"{implementation!r} uses the kernel as it is: give no prepared one")
        return chosen.function(x, kernel, geometry, prepared=prepared)
    return chosen.function(x, kernel.astype(x.dtype), geometry)


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
        implementation = choose(x.shape, kernel.shape, stride, padding, dilation, x.dtype, _backend())
    chosen = _named(DEPTHWISE_IMPLEMENTATIONS, implementation, geometry)
    return chosen.function(x, kernel.astype(x.dtype), geometry)


def choose(
    shape: tuple[int, ...],
    kernel_shape: tuple[int, ...],
    stride: Triple = (1, 1, 1),
    padding: Pairs = ((0, 0), (0, 0), (0, 0)),
    dilation: Triple = (1, 1, 1),
    dtype: jax.typing.DTypeLike = jnp.float32,
    backend: str = "cpu",
    trained: bool = False,
) -> str:
    """Returns the name of the implementation that "auto" uses: the first row of the table that holds.

    A kernel of shape [kt, kh, kw, 1, c] on c > 1 channels is a depthwise one. `backend` is jax's name of the
    platform ("cpu", "gpu", "tpu"). `trained` says that the kernel is not prepared, so that a transform of it
    is part of every call.
    """
    geometry = geometry_of(shape, kernel_shape, stride, padding, dilation)
    depthwise = kernel_shape[3] == 1 != shape[-1]
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
) -> tuple | None:
    """Returns what `conv3d(..., prepared=)` takes, or None where the implementation uses the kernel as it is.

    For inference: done once on the host, it takes the kernel transform out of every call. `implementation`
    is a name, as `choose` returns it.
    """
    prepare = IMPLEMENTATIONS[implementation].prepare
    return None if prepare is None else prepare(kernel)


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
