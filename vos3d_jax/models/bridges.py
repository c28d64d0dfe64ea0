"""Bridges: what stands between encoder and decoder. Facts: spec-3dc-seg 2.2."""

import numpy as np
from flax import nnx
from jaxtyping import Array, Float

from vos3d_jax.models.layers import BatchNormMode, Conv, Setting, Shape


class GC3D(nnx.Module):
    """The published bridge: two branches of a tall and a wide convolution, in either order, added.

    7 rows (1,7,1) and 7 columns (1,1,7) in place of a 7x7 kernel; no activation, no norm.
    """

    def __init__(self, inputs: int, inner: int, outputs: int, *, rng: np.random.Generator, setting: Setting):
        tall, wide = (1, 7, 1), (1, 1, 7)
        self.left1 = Conv(inputs, inner, tall, rng=rng, setting=setting)
        self.left2 = Conv(inner, outputs, wide, rng=rng, setting=setting)
        self.right1 = Conv(inputs, inner, wide, rng=rng, setting=setting)
        self.right2 = Conv(inner, outputs, tall, rng=rng, setting=setting)

    def __call__(
        self, x: Float[Array, "b t h w i"], batch_norm: BatchNormMode = "frozen"
    ) -> Float[Array, "b t h w o"]:
        """The sum of both branches."""
        left = self.left2(self.left1(x, batch_norm), batch_norm)
        return left + self.right2(self.right1(x, batch_norm), batch_norm)

    def convolutions(self, shape: Shape) -> list[tuple[Conv, Shape]]:
        """The convolutions with the shapes of their inputs, for an input of `shape`."""
        inner = (*shape[:-1], self.left1.kernel_shape[-1])
        return [(self.left1, shape), (self.right1, shape), (self.left2, inner), (self.right2, inner)]


BRIDGES = {"gc3d": GC3D}
