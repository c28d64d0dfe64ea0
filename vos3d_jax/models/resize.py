"""Trilinear resizing of clips by PyTorch's two rules, without antialiasing.

Position rule, PyTorch's: `align_corners=False` maps output i to (i + 0.5) n / m - 0.5, clamped at 0;
`align_corners=True` maps it to i (n - 1) / (m - 1). Both interpolate between the two neighbours, clamped.
`jax.image.resize` differs: it antialiases when it shrinks, and has no rule for corners.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from vos3d_jax.models.convolution.fence import fence

_FEW_CHANNELS = 16


def resize_trilinear(
    x: Float[Array, "b t h w c"], size: tuple[int, int, int], *, align_corners: bool = False
) -> Float[Array, "b t2 h2 w2 c"]:
    """Returns x at `size` (time, height, width), as torch's interpolate(mode="trilinear"); x's dtype.

    Computed in float32 at least.
    """
    y = x.astype(jnp.promote_types(x.dtype, jnp.float32))
    changes = [axis for axis in (1, 2, 3) if y.shape[axis] != size[axis - 1]]
    changes.sort(key=lambda axis: size[axis - 1] / y.shape[axis])  # what grows most comes last
    if jax.default_backend() == "cpu" and x.shape[-1] >= _FEW_CHANNELS:
        for axis in changes:
            y = _interpolate(y, axis, y.shape[axis], size[axis - 1], align_corners)
    else:
        for axis in changes:
            matrix = jnp.asarray(interpolation_matrix(y.shape[axis], size[axis - 1], align_corners), y.dtype)
            y = jnp.moveaxis(jnp.tensordot(y, matrix, (axis, 1), precision="highest"), -1, axis)
    return y.astype(x.dtype)


def interpolation_matrix(n: int, m: int, align_corners: bool) -> Float[np.ndarray, "m n"]:
    """Returns the matrix that takes n samples to m, in float64: at most two weights a row, their sum 1."""
    i = np.arange(m)
    if align_corners:
        position = i * (n - 1) / (m - 1) if m > 1 else np.zeros(m)
    else:
        position = np.maximum((i + 0.5) * n / m - 0.5, 0)
    low = np.minimum(np.floor(position).astype(int), n - 1)
    fraction = position - low
    matrix = np.zeros((m, n))
    np.add.at(matrix, (i, low), 1 - fraction)
    np.add.at(matrix, (i, np.minimum(low + 1, n - 1)), fraction)
    return matrix


@partial(jax.custom_vjp, nondiff_argnums=(1, 2, 3, 4))
def _interpolate(x, axis, n, m, align_corners):
    return _weighted_takes(x, axis, interpolation_matrix(n, m, align_corners))


def _forward(x, axis, n, m, align_corners):
    return _interpolate(x, axis, n, m, align_corners), None


def _backward(axis, n, m, align_corners, _, dy):
    # Every input sample was read by few outputs: gathering from those beats the scatter of autodiff.
    return (_weighted_takes(dy, axis, interpolation_matrix(n, m, align_corners).T),)


_interpolate.defvjp(_forward, _backward)


def _weighted_takes(x, axis, matrix):
    """Multiplies `axis` by a matrix with few entries a row, as a sum of that many indexed reads."""
    entries = max(1, int((matrix != 0).sum(1).max()))
    order = np.argsort(matrix == 0, axis=1, kind="stable")[
        :, :entries
    ]  # the columns that are not zero, first
    weights = np.take_along_axis(matrix, order, 1)
    shape = [1] * x.ndim
    shape[axis] = len(matrix)

    def takes(x):
        return sum(
            jnp.take(x, order[:, k], axis=axis) * jnp.asarray(weights[:, k], x.dtype).reshape(shape)
            for k in range(entries)
        )

    return fence(takes)(x)
