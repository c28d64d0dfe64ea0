"""Refinements: the up-sampling steps of the decoder. 3DC-Seg, section 3.2.

"rf3d" and "upsampling" are in the paper; the others are in the released code only. A row of `REFINEMENTS` is
made as row(skip, channels, settings=), and takes a map of the encoder and a coarser one of the decoder.
"""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float

from vos3d_jax.constants import STRIDE
from vos3d_jax.errors import UserError
from vos3d_jax.models.layers import DENSE, Conv, ConvSettings, ResidualPair, fan_in_uniform
from vos3d_jax.models.norms import GroupNorm
from vos3d_jax.models.resize import resize_trilinear


class RF3D(nnx.Module):
    """The published refinement: m = R(R(skip(f)) + resize(coarse)), each R a `ResidualPair` of its own.

    f is the encoder's map. `skip` and the convolutions of R are 3x3x3, with bias and no norm; `resize` is
    PyTorch's trilinear one, to the size of f. The paper's text lets the first three convolutions act on the
    coarse map; in the released code, which is followed here, they act on f.

    Args:
        skip: channels of f.
        channels: of the coarse map and of m.
        unit: unit(inputs, outputs, settings=) makes what stands in for each convolution; with kernels
            (1,3,3) it is RGMP's refinement.
        skip_unit: in place of the first convolution, if not `unit`.
        relu: whether R has its ReLUs; a unit may end with its own.
        transposed: doubles the coarse map by ReLU(`TransposedConv`), in place of resizing it.
        align_corners: of the resizing, as of `resize_trilinear`. True for weights of PyTorch 0.3 (RGMP's).
        settings: of the network.
    """

    def __init__(
        self,
        skip: int,
        channels: int,
        *,
        unit: Callable[..., nnx.Module] = DENSE,
        skip_unit: Callable[..., nnx.Module] | None = None,
        relu: bool = True,
        transposed: bool = False,
        align_corners: bool = False,
        settings: ConvSettings,
    ):
        self.align_corners = align_corners
        self.skip = (skip_unit or unit)(skip, channels, settings=settings)
        self.skip_residual = ResidualPair(channels, unit=unit, relu=relu, settings=settings)
        self.merge_residual = ResidualPair(channels, unit=unit, relu=relu, settings=settings)
        self.upsample = TransposedConv(channels, rng=settings.rng) if transposed else None

    def __call__(
        self, skip: Float[Array, "b t h w i"], coarse: Float[Array, "b t2 h2 w2 c"]
    ) -> Float[Array, "b t h w c"]:
        """Returns m, of the size of `skip`.

        Raises:
            UserError: where a transposed convolution would not give the size of `skip`.
        """
        fine = self.skip_residual(self.skip(skip))
        if self.upsample is None:
            coarse = resize_trilinear(coarse, skip.shape[1:4], align_corners=self.align_corners)
        else:
            _refuse_unless_double(skip.shape[1:4], coarse.shape[1:4])
            coarse = jax.nn.relu(self.upsample(coarse))
        return self.merge_residual(fine + coarse)


class Upsampling(nnx.Module):
    """The paper's baseline: m = conv2(ReLU(conv1(f and resize(coarse), side by side))); else as `RF3D`."""

    def __init__(self, skip: int, channels: int, *, align_corners: bool = False, settings: ConvSettings):
        self.align_corners = align_corners
        self.conv1 = Conv(skip + channels, channels, (3, 3, 3), settings=settings)
        self.conv2 = Conv(channels, channels, (3, 3, 3), settings=settings)

    def __call__(
        self, skip: Float[Array, "b t h w i"], coarse: Float[Array, "b t2 h2 w2 c"]
    ) -> Float[Array, "b t h w c"]:
        """Returns m, of the size of `skip`."""
        coarse = resize_trilinear(coarse, skip.shape[1:4], align_corners=self.align_corners)
        x = jnp.concatenate([skip, coarse], -1)
        return self.conv2(jax.nn.relu(self.conv1(x)))


class LightGroupNorm(nnx.Module):
    """Depthwise 3x3x3, group norm, ReLU, 1x1x1, group norm, ReLU; no biases, 32 groups."""

    def __init__(self, inputs: int, outputs: int, *, settings: ConvSettings):
        options = dict(ending="none", settings=settings)
        self.depthwise = Conv(inputs, inputs, (3, 3, 3), depthwise=True, **options)
        self.group_norm1 = GroupNorm(inputs, 32)
        self.pointwise = Conv(inputs, outputs, (1, 1, 1), **options)
        self.group_norm2 = GroupNorm(outputs, 32)

    def __call__(self, x: Float[Array, "b t h w i"]) -> Float[Array, "b t h w o"]:
        """Returns the map after the last ReLU, of the size of `x`."""
        x = jax.nn.relu(self.group_norm1(self.depthwise(x)))
        return jax.nn.relu(self.group_norm2(self.pointwise(x)))


class Depthwise(nnx.Module):
    """A depthwise 3x3x3 convolution, alone or after a 1x1x1 one (`pointwise`) and a ReLU (`relu`); biases."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        pointwise: bool = False,
        relu: bool = False,
        settings: ConvSettings,
    ):
        self.relu = relu
        self.pointwise = Conv(inputs, outputs, (1, 1, 1), settings=settings) if pointwise else None
        self.depthwise = Conv(outputs, outputs, (3, 3, 3), depthwise=True, settings=settings)

    def __call__(self, x: Float[Array, "b t h w i"]) -> Float[Array, "b t h w o"]:
        """Returns depthwise(pointwise(x)), of the size of `x`."""
        x = x if self.pointwise is None else self.pointwise(x)
        return self.depthwise(jax.nn.relu(x) if self.relu else x)


class Factorised(nnx.Module):
    """(1,3,3) to 2 c + 32 channels, batch norm, ReLU, (3,1,1) to c channels; no biases."""

    def __init__(self, inputs: int, outputs: int, *, settings: ConvSettings):
        middle = 2 * outputs + 32
        self.space = Conv(inputs, middle, (1, 3, 3), ending="norm", settings=settings)
        self.time = Conv(middle, outputs, (3, 1, 1), ending="none", settings=settings)

    def __call__(self, x: Float[Array, "b t h w i"]) -> Float[Array, "b t h w o"]:
        """Returns time(ReLU(space(x))), of the size of `x`."""
        return self.time(jax.nn.relu(self.space(x)))


class TransposedConv(nnx.Module):
    """Transposed 2x2x2 convolution of stride 2 with bias: each position becomes a block of eight.

    Blocks do not overlap, so it is one matrix product. PyTorch keeps this kernel as [i, o, t, h, w].
    """

    def __init__(self, channels: int, *, rng: np.random.Generator):
        self.kernel = nnx.Param(jnp.asarray(fan_in_uniform(rng, (2, 2, 2, channels, channels))))
        self.bias = nnx.Param(jnp.asarray(fan_in_uniform(rng, (8 * channels, channels))[0]))

    def __call__(self, x: Float[Array, "b t h w i"]) -> Float[Array, "b 2*t 2*h 2*w o"]:
        """Returns the doubled map: y[2i + a] = x[i] kernel[a] + bias along each of the three axes."""
        blocks = jnp.einsum("bthwi,xyzio->btxhywzo", x, self.kernel[...].astype(x.dtype))
        b, t, h, w, _ = x.shape
        return blocks.reshape(b, 2 * t, 2 * h, 2 * w, -1) + self.bias[...].astype(x.dtype)


def _refuse_unless_double(fine: tuple[int, ...], coarse: tuple[int, ...]) -> None:
    if fine != tuple(2 * n for n in coarse):
        raise UserError(
            f"the refinement conv_transpose doubles time, height and width exactly, which {coarse} to {fine} "
            f"is not: use clips of a multiple of 8 frames, of sides that are multiples of {STRIDE} pixels"
        )


REFINEMENTS: dict[str, Callable[..., nnx.Module]] = {
    "rf3d": RF3D,
    "upsampling": Upsampling,
    "light": partial(RF3D, unit=partial(Depthwise, pointwise=True, relu=True)),
    "light_gn": partial(RF3D, unit=LightGroupNorm, relu=False),
    "dg": partial(RF3D, unit=Depthwise, skip_unit=partial(Depthwise, pointwise=True)),
    "two_plus_one_d": partial(RF3D, unit=Factorised),
    "conv_transpose": partial(RF3D, transposed=True),
}
