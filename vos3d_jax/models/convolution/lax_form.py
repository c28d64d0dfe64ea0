"""The convolution of XLA itself: right everywhere, fast on GPU and TPU, and the one that partitions well.

Also its two cheap relatives, which hand XLA a matrix product or a 2-d convolution where the shape allows it.
"""

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from vos3d_jax.models.convolution.geometry import Geometry, pad, subsample, trim
from vos3d_jax.models.convolution.product import product


def convolve(
    x: Float[Array, "b t h w i"], kernel: Float[Array, "kt kh kw i o"], geometry: Geometry
) -> Float[Array, "b t2 h2 w2 o"]:
    """Returns `lax.conv_general_dilated`: any kernel, stride, padding and dilation."""
    return _lax(x, kernel, geometry, groups=1)


def convolve_depthwise(
    x: Float[Array, "b t h w c"], kernel: Float[Array, "kt kh kw 1 c"], geometry: Geometry
) -> Float[Array, "b t2 h2 w2 c"]:
    """Returns the grouped `lax.conv_general_dilated` (on a CPU a naive loop: 50 to 300 times too slow)."""
    return _lax(x, kernel, geometry, groups=geometry.inputs)


def _lax(x, kernel, geometry, groups):
    return lax.conv_general_dilated(
        x,
        kernel,
        geometry.stride,
        geometry.padding,
        rhs_dilation=geometry.dilation,
        feature_group_count=groups,
        dimension_numbers=("NDHWC", "DHWIO", "NDHWC"),
    )


def refuses_dot(geometry: Geometry) -> str | None:
    """Returns why `dot` does not apply, or None."""
    return None if geometry.taps == 1 else "the kernel has more than one tap"


def dot(
    x: Float[Array, "b t h w i"], kernel: Float[Array, "1 1 1 i o"], geometry: Geometry
) -> Float[Array, "b t2 h2 w2 o"]:
    """Returns a 1x1x1 convolution as one matrix product over the positions that the stride keeps."""
    return product(subsample(pad(x, geometry.padding), geometry.stride), kernel[0, 0, 0])


def refuses_time_in_channels(geometry: Geometry) -> str | None:
    """Returns why `time_in_channels` does not apply, or None."""
    return "more than 9 taps in time" if geometry.kernel[0] > 9 else None


def time_in_channels(
    x: Float[Array, "b t h w i"], kernel: Float[Array, "kt kh kw i o"], geometry: Geometry
) -> Float[Array, "b t2 h2 w2 o"]:
    """Returns a 3-d convolution as one 2-d convolution whose channels are the frames under the kernel.

    XLA:CPU has a fast 2-d convolution and a slow 3-d one (15 GFLOP/s for the 3x7x7 stem, against 120).
    """
    kernel, geometry = trim(kernel, geometry)
    (kt, kh, kw), (frames, height, width) = geometry.kernel, geometry.output
    padded = pad(x, (geometry.padding[0], (0, 0), (0, 0)))
    reach = (frames - 1) * geometry.stride[0] + 1
    taps = [
        lax.slice_in_dim(padded, start, start + reach, geometry.stride[0], axis=1)
        for start in range(0, kt * geometry.dilation[0], geometry.dilation[0])
    ]
    columns = jnp.concatenate(taps, -1).reshape(-1, *x.shape[2:4], kt * geometry.inputs)
    flat = kernel.transpose(1, 2, 0, 3, 4).reshape(kh, kw, kt * geometry.inputs, geometry.outputs)
    y = lax.conv_general_dilated(
        columns,
        flat,
        geometry.stride[1:],
        geometry.padding[1:],
        rhs_dilation=geometry.dilation[1:],
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )
    return y.reshape(geometry.batch, frames, height, width, geometry.outputs)
