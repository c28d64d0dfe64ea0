"""The ASPP bridge: parallel convolutions of several dilations (3DC-Seg, section 4.3 and Table 3)."""

import math

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float

from vos3d_jax.models.layers import Conv, ConvSettings, Initialiser, encoder_normal
from vos3d_jax.models.norms import GroupNorm


class GroupedConv(nnx.Module):
    """A (1,3,3) convolution of `groups` separate groups of channels, dilated in space; size kept, no bias.

    As PyTorch's with `groups`. Computed as one batched matrix product over the groups: XLA:CPU has only a
    naive loop for it.
    """

    def __init__(
        self,
        channels: int,
        groups: int,
        dilation: int,
        *,
        rng: np.random.Generator,
        initial: Initialiser = encoder_normal,
    ):
        self.groups, self.dilation = groups, dilation
        self.kernel = nnx.Param(jnp.asarray(initial(rng, (1, 3, 3, channels // groups, channels))))

    def __call__(self, x: Float[Array, "b t h w c"]) -> Float[Array, "b t h w c"]:
        """Returns the convolution of `x`: the channels of group g see only those of group g."""
        (height, width), d = x.shape[2:4], self.dilation
        padded = jnp.pad(x, ((0, 0), (0, 0), (d, d), (d, d), (0, 0)))
        taps = [
            padded[:, :, i : i + height, j : j + width].reshape(*x.shape[:4], self.groups, -1)
            for i in (0, d, 2 * d)
            for j in (0, d, 2 * d)
        ]
        kernel = self.kernel[...].astype(x.dtype)
        kernel = kernel.reshape(9, kernel.shape[3], self.groups, -1).transpose(2, 0, 1, 3)
        kernel = kernel.reshape(self.groups, -1, kernel.shape[-1])
        return jnp.einsum("bthwgi,gio->bthwgo", jnp.concatenate(taps, -1), kernel).reshape(x.shape)


class Activated(nnx.Module):
    """1x1x1 convolution, ReLU, group norm: in this order, unlike the usual one."""

    def __init__(self, inputs: int, outputs: int, groups: int, *, settings: ConvSettings):
        self.conv = Conv(inputs, outputs, (1, 1, 1), ending="none", settings=settings, initial=encoder_normal)
        self.group_norm = GroupNorm(outputs, groups)

    def __call__(self, x: Float[Array, "b t h w i"]) -> Float[Array, "b t h w o"]:
        """Returns norm(ReLU(conv(x))), of the size of `x`."""
        return self.group_norm(jax.nn.relu(self.conv(x)))


class Dilated(nnx.Module):
    """Grouped (1,3,3) convolution, ReLU, group norm, then an `Activated` 1x1x1 one."""

    def __init__(self, inputs: int, outputs: int, dilation: int, *, settings: ConvSettings):
        # The published width has 64 groups of 32 channels: not a depthwise convolution.
        self.grouped = GroupedConv(inputs, math.gcd(inputs, outputs), dilation, rng=settings.rng)
        self.group_norm = GroupNorm(inputs, 16)
        self.point = Activated(inputs, outputs, 16, settings=settings)

    def __call__(self, x: Float[Array, "b t h w i"]) -> Float[Array, "b t h w o"]:
        """Returns point(norm(ReLU(grouped(x)))), of the size of `x`."""
        return self.point(self.group_norm(jax.nn.relu(self.grouped(x))))


class ASPP(nnx.Module):
    """join(point(x), dilated3(x), dilated6(x), dilated9(x), frame(the mean of each frame), side by side).

    Each branch gives a quarter of the outputs' channels, from a 1x1x1 convolution or a (1,3,3) one of that
    dilation in space; `join` is 1x1x1. No convolution has a bias, and the norms are group norms. Unlike most
    of its name it pools each frame, not the clip, and has the norm after the ReLU.
    """

    def __init__(self, inputs: int, outputs: int, *, settings: ConvSettings):
        inner = max(1, outputs // 4)
        self.point = Activated(inputs, inner, 16, settings=settings)
        self.dilated3 = Dilated(inputs, inner, 3, settings=settings)
        self.dilated6 = Dilated(inputs, inner, 6, settings=settings)
        self.dilated9 = Dilated(inputs, inner, 9, settings=settings)
        self.frame = Activated(inputs, inner, 16, settings=settings)
        self.join = Activated(5 * inner, outputs, 32, settings=settings)

    def __call__(self, x: Float[Array, "b t h w i"]) -> Float[Array, "b t h w o"]:
        """Returns the joined branches, of the size of `x`."""
        branches = [branch(x) for branch in (self.point, self.dilated3, self.dilated6, self.dilated9)]
        frame = self.frame(x.mean((2, 3), keepdims=True))
        branches.append(jnp.broadcast_to(frame, branches[0].shape))
        return self.join(jnp.concatenate(branches, -1))
