"""The shapes of one convolution, and the two simplifications that hold for every form."""

from dataclasses import dataclass, replace

import jax.numpy as jnp
from jaxtyping import Array, Float

Triple = tuple[int, int, int]
Pairs = tuple[tuple[int, int], tuple[int, int], tuple[int, int]]


@dataclass(frozen=True)
class Geometry:
    """One convolution: input [batch, *size, inputs], kernel [*kernel, inputs, outputs], axes (t, h, w)."""

    batch: int
    size: Triple
    inputs: int
    kernel: Triple
    outputs: int
    stride: Triple = (1, 1, 1)
    padding: Pairs = ((0, 0), (0, 0), (0, 0))
    dilation: Triple = (1, 1, 1)

    @property
    def output(self) -> Triple:
        """The output's (time, height, width)."""
        sizes = zip(self.size, self.kernel, self.stride, self.padding, self.dilation, strict=True)
        return tuple((n + sum(pad) - (k - 1) * d - 1) // s + 1 for n, k, s, pad, d in sizes)

    @property
    def taps(self) -> int:
        """How many positions the kernel has."""
        return self.kernel[0] * self.kernel[1] * self.kernel[2]

    @property
    def plain(self) -> bool:
        """Whether stride and dilation are one on every axis."""
        return self.stride == self.dilation == (1, 1, 1)


def trim(kernel: Float[Array, "kt kh kw i o"], geometry: Geometry) -> tuple[Float[Array, "..."], Geometry]:
    """Returns kernel and geometry without the outer taps that only ever meet padding.

    A clip of one frame under a 3x3x3 kernel with padding 1 needs only the middle third of it.
    """
    sizes, padding, slices = [], [], []
    for axis in range(3):
        first, last, pad = _touching(geometry, axis)
        sizes.append(last - first)
        padding.append(pad)
        slices.append(slice(first, last))
    trimmed = replace(geometry, kernel=tuple(sizes), padding=tuple(padding))
    return (kernel if trimmed == geometry else kernel[tuple(slices)]), trimmed


def _touching(geometry: Geometry, axis: int) -> tuple[int, int, tuple[int, int]]:
    n, k = geometry.size[axis], geometry.kernel[axis]
    s, d, (before, after) = geometry.stride[axis], geometry.dilation[axis], geometry.padding[axis]
    starts = [o * s - before for o in range(geometry.output[axis])]
    useful = [any(0 <= start + tap * d < n for start in starts) for tap in range(k)]
    first, last = 0, k
    while first < last - 1 and not useful[first] and before >= d:
        first, before = first + 1, before - d
    while last > first + 1 and not useful[last - 1] and after >= d:
        last, after = last - 1, after - d
    return first, last, (before, after)


def subsample(x: Float[Array, "b t h w c"], stride: Triple) -> Float[Array, "b t2 h2 w2 c"]:
    """Returns every stride-th position: all that a kernel of one tap will read."""
    return x if stride == (1, 1, 1) else x[:, :: stride[0], :: stride[1], :: stride[2]]


def pad(x: Float[Array, "b t h w c"], padding: Pairs) -> Float[Array, "b t2 h2 w2 c"]:
    """Returns x with zeros around it."""
    return x if not any(map(any, padding)) else jnp.pad(x, ((0, 0), *padding, (0, 0)))
