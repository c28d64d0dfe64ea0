"""Group norm, which some decoders of 3DC-Seg use. Wu and He, ECCV 2018."""

import math

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float


class GroupNorm(nnx.Module):
    """(x - mean) / sqrt(variance + 1e-5) * scale + bias, over time, space and the channels of a group.

    The statistics are those of each clip, in every mode. Where `groups` does not divide the channels (of
    narrow networks, which are ours) the greatest common divisor takes its place.
    """

    def __init__(self, channels: int, groups: int):
        self.groups = math.gcd(channels, groups)
        self.scale = nnx.Param(jnp.ones(channels))
        self.bias = nnx.Param(jnp.zeros(channels))

    def __call__(self, x: Float[Array, "b t h w c"]) -> Float[Array, "b t h w c"]:
        """`x` normalised, computed in float32 at least; x's dtype."""
        wide = x.astype(jnp.promote_types(x.dtype, jnp.float32))
        grouped = wide.reshape(*x.shape[:4], self.groups, -1)
        mean = grouped.mean((1, 2, 3, 5), keepdims=True)
        variance = jnp.square(grouped - mean).mean((1, 2, 3, 5), keepdims=True)
        y = ((grouped - mean) * jax.lax.rsqrt(variance + 1e-5)).reshape(x.shape)
        return (y * self.scale[...] + self.bias[...]).astype(x.dtype)
