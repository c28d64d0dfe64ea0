"""im2col and its mirror: a thin or small convolution as one matrix product, after or before the shifts."""

import itertools
from functools import reduce
from operator import add

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from vos3d_jax.models.convolution.fence import fence
from vos3d_jax.models.convolution.geometry import Geometry, pad, trim
from vos3d_jax.models.convolution.product import product


def refuses_im2col(geometry: Geometry) -> str | None:
    """Returns why `im2col` does not apply, or None."""
    return None if geometry.taps <= 343 else "more than 343 taps would be copied side by side"


def im2col(
    x: Float[Array, "b t h w i"], kernel: Float[Array, "kt kh kw i o"], geometry: Geometry
) -> Float[Array, "b t2 h2 w2 o"]:
    """Returns the product of the shifted copies of x, side by side, with the kernel as one tall matrix.

    For kernels along one axis and for maps so small that reading the kernel is what costs (GC3D).
    """
    kernel, geometry = trim(kernel, geometry)

    def side_by_side(x):
        padded = pad(x, geometry.padding)
        return jnp.concatenate([_shifted(padded, tap, geometry) for tap in _taps(geometry)], -1)

    return product(fence(side_by_side)(x), kernel.reshape(-1, geometry.outputs))


def refuses_few_outputs(geometry: Geometry) -> str | None:
    """Returns why `few_outputs` does not apply, or None."""
    width = geometry.taps * geometry.outputs
    return None if width <= 512 else f"taps times outputs is {width}, more than 512 columns"


def few_outputs(
    x: Float[Array, "b t h w i"], kernel: Float[Array, "kt kh kw i o"], geometry: Geometry
) -> Float[Array, "b t2 h2 w2 o"]:
    """Returns the sum of shifted planes of one product whose columns are all taps of all outputs.

    A matrix product with two columns wastes the machine; one with 27 x 2 does not (the head, 256 -> 2).
    """
    kernel, geometry = trim(kernel, geometry)
    wide = kernel.transpose(3, 4, 0, 1, 2).reshape(geometry.inputs, -1)  # [inputs, outputs * taps]
    columns = fence(lambda x, wide: product(x, wide))(x, wide)

    def sums(columns):
        planes = jnp.moveaxis(columns, -1, 1)
        padded = jnp.pad(planes, ((0, 0), (0, 0), *geometry.padding))
        padded = padded.reshape(geometry.batch, geometry.outputs, geometry.taps, *padded.shape[2:])
        shifted = [
            _shifted(padded[:, :, number], tap, geometry, first_axis=2)
            for number, tap in enumerate(_taps(geometry))
        ]
        return reduce(add, shifted).transpose(0, 2, 3, 4, 1)

    return fence(sums)(columns)


def _taps(geometry):
    return itertools.product(*map(range, geometry.kernel))


def _shifted(padded, tap, geometry, first_axis=1):
    """The positions of the padded input that `tap` meets, one for each output."""
    for axis in range(3):
        start = tap[axis] * geometry.dilation[axis]
        stop = start + (geometry.output[axis] - 1) * geometry.stride[axis] + 1
        padded = lax.slice_in_dim(padded, start, stop, geometry.stride[axis], axis=first_axis + axis)
    return padded
