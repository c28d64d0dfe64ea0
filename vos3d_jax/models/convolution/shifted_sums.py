"""Depthwise convolution as a sum of shifted copies, each times one kernel value a channel.

On a CPU this is 50 to 300 times as fast as XLA's grouped convolution; on GPU and TPU it fuses into one
elementwise kernel. In half precision the taps are added up in float32 and rounded once. Evidence:
docs/performance.md.
"""

from functools import partial, reduce
from itertools import groupby, product
from operator import add

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from vos3d_jax.models.convolution.fence import fence
from vos3d_jax.models.convolution.geometry import Geometry, pad


def refuses(geometry: Geometry) -> str | None:
    """Returns why this form does not apply, or None."""
    return None if geometry.taps <= 343 else "more than 343 taps would be added up one by one"


@partial(jax.custom_vjp, nondiff_argnums=(2,))
def convolve(
    x: Float[Array, "b t h w c"], kernel: Float[Array, "kt kh kw 1 c"], geometry: Geometry
) -> Float[Array, "b t2 h2 w2 c"]:
    """Returns the depthwise convolution; any kernel, stride, padding and dilation."""
    padded = _pad_space(x, geometry)
    return fence(partial(_sums, geometry))(padded, kernel[:, :, :, 0])


def _forward(x, kernel, geometry):
    return convolve(x, kernel, geometry), (x, kernel)


def _backward(geometry, residuals, dy):
    x, kernel = residuals
    kernel_gradient = _kernel_gradient_by_rows if jax.default_backend() == "cpu" else _kernel_gradient_by_taps
    return _input_gradient(kernel, dy, geometry), kernel_gradient(x, dy, geometry)


convolve.defvjp(_forward, _backward)


def _pad_space(x, geometry):
    """Pads height and width once, materialised; in time, taps outside the clip are left out instead."""
    return fence(lambda x: pad(x, ((0, 0), *geometry.padding[1:])))(x)


def _sums(geometry, padded, kernel):
    """One fused kernel for all frames that the same taps meet; at the ends of a clip some taps meet none.

    In one kernel for all frames XLA would test at every element whether a frame is inside the clip; one for
    each frame takes longer to compile.
    """
    dtype = _wide(padded)
    kernel, parts = kernel.astype(dtype), []
    before, stride, dilation = geometry.padding[0][0], geometry.stride[0], geometry.dilation[0]
    pairs = [(tap, tap * dilation - before) for tap in range(geometry.kernel[0])]
    for first, count, met in _runs(pairs, geometry.output[0], stride, geometry.size[0]):
        terms = []
        for (i, shift), j, k in product(met, *map(range, geometry.kernel[1:])):
            start = first * stride + shift
            frames = padded[:, start : start + (count - 1) * stride + 1 : stride]
            terms.append(_window(frames, (j, k), geometry).astype(dtype) * kernel[i, j, k])
        shape = (geometry.batch, count, *geometry.output[1:], geometry.inputs)
        parts.append((reduce(add, terms) if terms else jnp.zeros(shape)).astype(padded.dtype))
    return jnp.concatenate(parts, 1)


def _runs(pairs, frames, stride, size):
    """(first, count, pairs that meet a frame) for the runs of output frames that the same taps meet.

    The (tap, shift) of `pairs` meets frame output * stride + shift of `size`.
    """

    def met(output):
        return tuple(pair for pair in pairs if 0 <= output * stride + pair[1] < size)

    for same, outputs in groupby(range(frames), met):
        first, *rest = outputs
        yield first, 1 + len(rest), same


def _wide(x):
    """What the products of x are added up in."""
    return jnp.promote_types(x.dtype, jnp.float32)


def _window(frames, tap, geometry):
    """The pixels of padded frames [b, t, h, w, c] that the (row, column) `tap` meets."""
    for axis in (1, 2):
        start = tap[axis - 1] * geometry.dilation[axis]
        stop = start + (geometry.output[axis] - 1) * geometry.stride[axis] + 1
        frames = lax.slice_in_dim(frames, start, stop, geometry.stride[axis], axis=axis + 1)
    return frames


def _input_gradient(kernel, dy, geometry):
    """Sums of shifted dy, one for each phase of the stride, interleaved: no array is filled with zeros.

    x[i] met tap k in output o where o * stride + k * dilation = i + before.
    """
    phases = []
    for phase in np.ndindex(geometry.stride):
        taps = [_taps_of_phase(geometry, axis, phase[axis]) for axis in range(3)]
        counts = [-(-n // s) for n, s in zip(geometry.size, geometry.stride, strict=True)]
        phases.append((taps, counts))

    def sums(dy, kernel):
        return [_phase_sum(dy, kernel, taps, counts) for taps, counts in phases]

    def interleave(arrays):
        st, sh, sw = geometry.stride
        batch, nt, nh, nw, channels = arrays[0].shape
        y = jnp.stack(arrays).reshape(st, sh, sw, batch, nt, nh, nw, channels)
        y = y.transpose(3, 4, 0, 5, 1, 6, 2, 7).reshape(batch, nt * st, nh * sh, nw * sw, channels)
        return y[:, : geometry.size[0], : geometry.size[1], : geometry.size[2]]

    arrays = fence(sums)(dy, kernel[:, :, :, 0])
    return arrays[0] if len(arrays) == 1 else fence(interleave)(arrays)


def _taps_of_phase(geometry, axis, phase):
    """The (tap, shift) pairs by which position phase + q * stride of x entered output q + shift."""
    stride, before = geometry.stride[axis], geometry.padding[axis][0]
    pairs = []
    for tap in range(geometry.kernel[axis]):
        shift, remainder = divmod(phase + before - tap * geometry.dilation[axis], stride)
        if remainder == 0:
            pairs.append((tap, shift))
    return pairs


def _phase_sum(dy, kernel, taps, counts):
    shape = (dy.shape[0], *counts, dy.shape[-1])
    if not all(taps):
        return jnp.zeros(shape, dy.dtype)
    edges = []
    for axis, pairs in enumerate(taps):
        shifts = [shift for _, shift in pairs]
        low = max(0, -min(shifts))
        edges.append((low, max(0, max(shifts) + counts[axis] - dy.shape[axis + 1])))
    padded = jnp.pad(dy, ((0, 0), *((0, 0), *edges[1:]), (0, 0)))
    dtype = _wide(dy)
    kernel, parts = kernel.astype(dtype), []
    for first, count, met in _runs(taps[0], counts[0], 1, dy.shape[1]):
        terms = []
        for (i, a), (j, b), (k, c) in product(met, *taps[1:]):
            rows = slice(b + edges[1][0], b + edges[1][0] + counts[1])
            places = slice(c + edges[2][0], c + edges[2][0] + counts[2])
            window = padded[:, first + a : first + a + count, rows, places]
            terms.append(window.astype(dtype) * kernel[i, j, k])
        total = reduce(add, terms) if terms else jnp.zeros((shape[0], count, *shape[2:]))
        parts.append(total.astype(dy.dtype))
    return jnp.concatenate(parts, 1)


def _kernel_gradient_by_taps(x, dy, geometry):
    """One reduction a tap, in float32: parallel, and over a batch on several devices a sum of their sums."""
    padded, dy = pad(x, geometry.padding), dy.astype(_wide(x))
    sums = []
    for tap in np.ndindex(geometry.kernel):
        start = tap[0] * geometry.dilation[0]
        stop = start + (geometry.output[0] - 1) * geometry.stride[0] + 1
        frames = padded[:, start : stop : geometry.stride[0]]
        windows = _window(frames, tap[1:], geometry)
        sums.append((windows.astype(dy.dtype) * dy).sum((0, 1, 2, 3)))
    return jnp.stack(sums).reshape(*geometry.kernel, 1, x.shape[-1]).astype(x.dtype)


def _kernel_gradient_by_rows(x, dy, geometry):
    """A loop over output rows with one accumulator [width, channels] a tap; the width is summed at the end.

    For one CPU: as 27 reductions XLA:CPU needs 10 to 20 times as long, as it reads both maps for each of
    them. Elsewhere the loop is a long chain of tiny steps, and under a mesh it gathers whole maps.
    """
    dtype = _wide(x)
    padded = fence(lambda x: pad(x, geometry.padding))(x)
    time, height, width = geometry.output
    taps = list(np.ndindex(geometry.kernel))
    reach = (width - 1) * geometry.stride[2] + 1

    def add_row(number, sums):
        b, t, h = number // (time * height), number // height % time, number % height
        row = lax.dynamic_slice(dy, (b, t, h, 0, 0), (1, 1, 1, width, dy.shape[-1]))[0, 0, 0].astype(dtype)
        added = []
        for (i, j, k), total in zip(taps, sums, strict=True):
            start = (
                b,
                t * geometry.stride[0] + i * geometry.dilation[0],
                h * geometry.stride[1] + j * geometry.dilation[1],
                k * geometry.dilation[2],
                0,
            )
            other = lax.dynamic_slice(padded, start, (1, 1, 1, reach, x.shape[-1]))[
                0, 0, 0, :: geometry.stride[2]
            ]
            added.append(total + row * other.astype(dtype))
        return tuple(added)

    zero = jnp.zeros((width, x.shape[-1]), dtype)
    sums = lax.fori_loop(0, geometry.batch * time * height, add_row, (zero,) * len(taps))
    gradient = jnp.stack([total.sum(0) for total in sums])
    return gradient.reshape(*geometry.kernel, 1, x.shape[-1]).astype(x.dtype)
