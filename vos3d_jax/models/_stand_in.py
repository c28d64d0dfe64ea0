"""Plain-lax stand-ins until models/convolution and models/resize are there; to be deleted then."""

import jax
import jax.numpy as jnp
from jax import lax

_DIMS = ("NDHWC", "DHWIO", "NDHWC")


def conv3d(
    x,
    kernel,
    *,
    stride=(1, 1, 1),
    padding=((0, 0),) * 3,
    dilation=(1, 1, 1),
    implementation="auto",
    prepared=None,
):
    return lax.conv_general_dilated(
        x, kernel, stride, padding, rhs_dilation=dilation, dimension_numbers=_DIMS, precision="highest"
    )


def depthwise_conv3d(
    x, kernel, *, stride=(1, 1, 1), padding=((0, 0),) * 3, dilation=(1, 1, 1), implementation="auto"
):
    sizes = [
        (n + sum(p) - d * (k - 1) - 1) // s + 1
        for n, p, d, k, s in zip(x.shape[1:4], padding, dilation, kernel.shape, stride)
    ]
    x = jnp.pad(x, ((0, 0), *padding, (0, 0)))
    total = 0
    for i in range(kernel.shape[0]):
        for j in range(kernel.shape[1]):
            for k in range(kernel.shape[2]):
                index = [
                    slice(o * d, o * d + (n - 1) * s + 1, s)
                    for o, d, n, s in zip((i, j, k), dilation, sizes, stride)
                ]
                total = total + x[:, index[0], index[1], index[2]] * kernel[i, j, k, 0]
    return total


def bias_add(x, bias):
    return x + bias


def max_pool3d(x):
    return lax.reduce_window(
        x, -jnp.inf, lax.max, (1, 1, 3, 3, 1), (1, 1, 2, 2, 1), ((0, 0), (0, 0), (1, 1), (1, 1), (0, 0))
    )


def resize_trilinear(x, size):
    return jax.image.resize(x, (x.shape[0], *size, x.shape[-1]), "trilinear", antialias=False)
