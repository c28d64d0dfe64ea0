"""Nested Winograd convolution: a 3x3x3 kernel with 1/3.4 to 1/8 of the multiplications.

F(m, 3) on time, width and height in turn: the input is cut into tiles, (m + 2)^3 linear combinations of
each tile are multiplied by as many combinations of the kernel, one matrix product each, and the results are
combined back. The backward pass stays in the transformed domain, so that it shares the transforms.

XLA:CPU is only fast here if each stage is materialised (`fence`) and if each of the products reads arrays
of its own: slices of one stacked array would be copied at every call. Evidence: docs/performance.md.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial, reduce
from operator import add

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from vos3d_jax.models.convolution.fence import fence
from vos3d_jax.models.convolution.geometry import Geometry
from vos3d_jax.models.convolution.winograd_matrices import Matrices, matrices

# Every list of arrays below holds one per frequency, ordered (time, width, height), height fastest.
_AXES = (0, 2, 1)


@dataclass(frozen=True)
class Tile:
    """Outputs of one tile: `time` frames of `side` x `side` pixels."""

    time: int
    side: int

    def axis(self, axis: int, taps: int) -> tuple[int, Matrices]:
        """Returns the tile's size on `axis` (0 time, 1 height, 2 width) and its matrices."""
        m = 1 if taps == 1 else (self.time if axis == 0 else self.side)
        return m, matrices(m, taps)


def refuses(geometry: Geometry) -> str | None:
    """Returns why this form does not apply, or None."""
    if not geometry.plain:
        return "stride and dilation must be 1"
    if not set(geometry.kernel) <= {1, 3} or geometry.taps == 1:
        return "the kernel must have 3 taps on at least one axis and 3 or 1 on the others"
    return None


def tiles(geometry: Geometry, tile: Tile) -> int:
    """Returns how many tiles cover the output: the rows of each matrix product."""
    return geometry.batch * math.prod(
        -(-n // tile.axis(axis, geometry.kernel[axis])[0]) for axis, n in enumerate(geometry.output)
    )


def prepare(kernel: Float[Array, "kt kh kw i o"] | Float[np.ndarray, "kt kh kw i o"], tile: Tile) -> tuple:
    """Returns the transformed kernels, one [inputs, outputs] array a frequency, made in float64 on the host.

    Once for a checkpoint: it costs time and up to 8 times the kernel's memory.
    """
    g = [tile.axis(axis, kernel.shape[axis])[1].kernel for axis in range(3)]
    transformed = np.einsum("qt,ah,bw,thwio->qbaio", *g, np.asarray(kernel, np.float64))
    flat = transformed.reshape(-1, *kernel.shape[3:])
    return tuple(jnp.asarray(matrix, kernel.dtype) for matrix in flat)


@partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def convolve(
    x: Float[Array, "b t h w i"],
    kernel: Float[Array, "kt kh kw i o"],
    geometry: Geometry,
    tile: Tile,
) -> Float[Array, "b t2 h2 w2 o"]:
    """Returns the convolution by tiles."""
    return _forward(x, kernel, geometry, tile)[0]


def convolve_prepared(
    x: Float[Array, "b t h w i"], prepared: Sequence[Array], geometry: Geometry, tile: Tile
) -> Float[Array, "b t2 h2 w2 o"]:
    """Returns the convolution with the kernel that `prepare` has transformed."""
    return _transform_output(_products(_transform_input(x, geometry, tile), prepared), geometry, tile)


def _forward(x, kernel, geometry, tile):
    u = _transform_kernel(kernel, tile)
    v = _transform_input(x, geometry, tile)
    return _transform_output(_products(v, u), geometry, tile), (v, u)


def _backward(geometry, tile, residuals, dy):
    v, u = residuals
    dm = _transpose_output(dy, geometry, tile)
    dv = [jnp.einsum("no,io->ni", d, matrix) for d, matrix in zip(dm, u, strict=True)]
    du = [jnp.einsum("ni,no->io", rows, d) for rows, d in zip(v, dm, strict=True)]
    return _transpose_input(dv, geometry, tile), _transpose_kernel(du, geometry, tile)


convolve.defvjp(_forward, _backward)


def _products(v, u):
    return [jnp.dot(rows, matrix) for rows, matrix in zip(v, u, strict=True)]


def _transform_input(x, geometry, tile):
    widths = [
        (before, count * m + taps - 1 - n - before)
        for (before, _), (m, count, _), taps, n in zip(
            geometry.padding, _sizes(geometry, tile), geometry.kernel, geometry.size, strict=True
        )
    ]
    # Not fenced: what comes before (ReLU, bias) is computed within this stage, not in a pass of its own.
    arrays = _spread_input(geometry, tile, _AXES[0], [jnp.pad(x, ((0, 0), *widths, (0, 0)))])
    for axis in _AXES[1:]:
        arrays = fence(_spread_input, geometry, tile, axis)(arrays)
    return arrays


def _spread_input(geometry, tile, axis, arrays):
    return _rows_at_last(axis, _spread(arrays, axis, *_sizes(geometry, tile)[axis], transposed=False))


def _transform_output(products, geometry, tile):
    sizes = _sizes(geometry, tile)
    grid = [count for _, count, _ in sizes]
    arrays = [y.reshape(geometry.batch, *grid, geometry.outputs) for y in products]
    for axis in _AXES:
        arrays = fence(_gather_output, geometry, tile, axis)(arrays)
    return _interleave(arrays, sizes, geometry.output)  # not fenced, for what comes after: bias, sum, ReLU


def _gather_output(geometry, tile, axis, arrays):
    return _gather(_sizes(geometry, tile)[axis][2].output, arrays)


def _transpose_output(dy, geometry, tile):
    """From the gradient of the output to that of each product: the transpose of `_transform_output`."""
    arrays = [dy]
    for axis in _AXES:
        arrays = fence(_spread_gradient, geometry, tile, axis)(arrays)
    return arrays


def _spread_gradient(geometry, tile, axis, arrays):
    sizes = _sizes(geometry, tile)
    if axis == _AXES[0]:
        widths = [(0, count * m - n) for (m, count, _), n in zip(sizes, geometry.output, strict=True)]
        arrays = [jnp.pad(y, ((0, 0), *widths, (0, 0))) for y in arrays]
    return _rows_at_last(axis, _spread(arrays, axis, *sizes[axis], transposed=True))


def _transpose_input(dv, geometry, tile):
    """From the gradient of each transformed input to that of x: the transpose of `_transform_input`."""
    grid = [count for _, count, _ in _sizes(geometry, tile)]
    arrays = [d.reshape(geometry.batch, *grid, geometry.inputs) for d in dv]
    for axis in _AXES:
        arrays = fence(_gather_gradient, geometry, tile, axis)(arrays)
    return fence(_interleave_gradient, geometry, tile)(arrays)


def _gather_gradient(geometry, tile, axis, arrays):
    m, _, of = _sizes(geometry, tile)[axis]
    taps = _gather(of.input.T, arrays)
    n, before, count = len(of.input), geometry.padding[axis][0], -(-geometry.size[axis] // m)
    groups = [taps[group : group + n] for group in range(0, len(taps), n)]
    return [_overlap(group, axis, m, phase, before, count) for group in groups for phase in range(m)]


def _interleave_gradient(geometry, tile, arrays):
    sizes = [(m, -(-n // m), of) for (m, _, of), n in zip(_sizes(geometry, tile), geometry.size, strict=True)]
    return _interleave(arrays, sizes, geometry.size)


def _overlap(taps, axis, m, phase, before, count):
    """Adds the taps of neighbouring tiles that fall on positions `phase`, `phase` + m, ... of x."""
    shifted = []
    for tap, array in enumerate(taps):
        shift, remainder = divmod(tap - before, m)
        if remainder == phase:
            edges = [(0, 0, 0)] * array.ndim
            edges[axis + 1] = (shift, count - shift - array.shape[axis + 1], 0)
            shifted.append(lax.pad(array, jnp.zeros((), array.dtype), edges))
    return reduce(add, shifted)


def _transform_kernel(kernel, tile):
    taps = kernel.shape[:3]
    arrays = [kernel[t, h, w] for t in range(taps[0]) for w in range(taps[2]) for h in range(taps[1])]
    for axis in _AXES:
        arrays = fence(_gather_kernel, tile, axis, taps[axis])(arrays)
    return arrays


def _gather_kernel(tile, axis, taps, arrays):
    return _gather(tile.axis(axis, taps)[1].kernel, arrays)


def _transpose_kernel(du, geometry, tile):
    for axis in _AXES:
        du = fence(_gather_kernel_gradient, tile, axis, geometry.kernel[axis])(du)
    kt, kh, kw = geometry.kernel
    stacked = jnp.stack(du).reshape(kt, kw, kh, geometry.inputs, geometry.outputs)
    return stacked.transpose(0, 2, 1, 3, 4)


def _gather_kernel_gradient(tile, axis, taps, arrays):
    return _gather(tile.axis(axis, taps)[1].kernel.T, arrays)


def _sizes(geometry, tile):
    """For each axis: the tile's size, how many tiles cover the output, and the matrices."""
    sizes = []
    for axis, (taps, n) in enumerate(zip(geometry.kernel, geometry.output, strict=True)):
        m, of = tile.axis(axis, taps)
        sizes.append((m, -(-n // m), of))
    return sizes


def _spread(arrays, axis, m, count, of, *, transposed):
    """Each array -> one array a frequency: combinations of its samples i, i + m, ... along `axis`."""
    matrix = of.output.T if transposed else of.input
    window = range(matrix.shape[1])

    def sample(array, i):
        return lax.slice_in_dim(array, i, i + (count - 1) * m + 1, m, axis=axis + 1)

    return [_combine(row, [sample(array, i) for i in window]) for array in arrays for row in matrix]


def _rows_at_last(axis, arrays):
    """After the last axis, arrays become the rows of the products."""
    return [a.reshape(-1, a.shape[-1]) for a in arrays] if axis == _AXES[-1] else arrays


def _gather(matrix, arrays):
    """Combines the slowest index of the list by `matrix`; the new index becomes the fastest."""
    rest = len(arrays) // matrix.shape[1]
    return [_combine(row, arrays[group::rest]) for group in range(rest) for row in matrix]


def _combine(row, arrays):
    terms = [a if c == 1 else a * np.asarray(c, a.dtype) for c, a in zip(row, arrays, strict=True) if c != 0]
    return reduce(add, terms)


def _interleave(arrays, sizes, size):
    """Puts the positions within a tile, spread over the list (time, width, height), back into one map."""
    (mt, nt, _), (mh, nh, _), (mw, nw, _) = sizes
    batch, channels = arrays[0].shape[0], arrays[0].shape[-1]
    y = [
        jnp.stack([jnp.stack(arrays[(t * mw + w) * mh : (t * mw + w + 1) * mh], 3) for w in range(mw)], 5)
        for t in range(mt)
    ]  # each [batch, nt, nh, mh, nw, mw, channels]
    y = jnp.stack(y, 2).reshape(batch, nt * mt, nh * mh, nw * mw, channels)
    return y[:, : size[0], : size[1], : size[2]]
