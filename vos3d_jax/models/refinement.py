"""Refinements: the up-sampling steps of the decoder. Facts: spec-3dc-seg 2.3."""

import numpy as np
from flax import nnx
from jaxtyping import Array, Float

from vos3d_jax.models.layers import BatchNormMode, Conv, ResidualPair, Setting, Shape
from vos3d_jax.models.resize import resize_trilinear


class RF3D(nnx.Module):
    """The published refinement: the skip feature, refined, plus the coarse map, resized; the sum refined.

    The paper's text lets the first convolutions act on the coarse map; in the released code, which is
    followed here, they act on the skip feature.
    """

    def __init__(self, skip: int, channels: int, *, rng: np.random.Generator, setting: Setting):
        self.skip = Conv(skip, channels, (3, 3, 3), rng=rng, setting=setting)
        self.skip_residual = ResidualPair(channels, rng=rng, setting=setting)
        self.merge_residual = ResidualPair(channels, rng=rng, setting=setting)

    def __call__(
        self,
        skip: Float[Array, "b t h w i"],
        coarse: Float[Array, "b t2 h2 w2 c"],
        batch_norm: BatchNormMode = "frozen",
    ) -> Float[Array, "b t h w c"]:
        """The refined map, of the size of `skip`."""
        fine = self.skip_residual(self.skip(skip, batch_norm), batch_norm)
        return self.merge_residual(fine + resize_trilinear(coarse, skip.shape[1:4]), batch_norm)

    def convolutions(self, skip: Shape) -> list[tuple[Conv, Shape]]:
        """The convolutions with the shapes of their inputs, for a skip feature of that shape."""
        fine = (*skip[:-1], self.skip.kernel_shape[-1])
        pairs = self.skip_residual.convolutions(fine) + self.merge_residual.convolutions(fine)
        return [(self.skip, skip), *pairs]


REFINEMENTS = {"rf3d": RF3D}
