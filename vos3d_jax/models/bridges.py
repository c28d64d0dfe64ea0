"""Bridges: what stands between encoder and decoder. 3DC-Seg, section 3.2.

A row of `BRIDGES` is made as row(inputs, outputs, settings=), and takes the encoder's last map.
"""

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from vos3d_jax.constants import STRIDE
from vos3d_jax.errors import UserError
from vos3d_jax.models.aspp import ASPP
from vos3d_jax.models.layers import BatchNorm, Conv, ConvSettings


class GC3D(nnx.Module):
    """The published bridge, in place of a 7x7 kernel: left2(left1(x)) + right2(right1(x)).

    left1 and right2 are (1,7,1) convolutions, right1 and left2 (1,1,7) ones, all with bias; no activation, no
    norm. It is RGMP's global convolution block, too.

    Args:
        inputs: channels that come in.
        outputs: channels that go out.
        inner: channels between the two, if not given as many as go out.
        settings: of the network.
    """

    def __init__(self, inputs: int, outputs: int, *, inner: int | None = None, settings: ConvSettings):
        tall, wide = (1, 7, 1), (1, 1, 7)
        inner = inner or outputs
        self.left1 = Conv(inputs, inner, tall, settings=settings)
        self.left2 = Conv(inner, outputs, wide, settings=settings)
        self.right1 = Conv(inputs, inner, wide, settings=settings)
        self.right2 = Conv(inner, outputs, tall, settings=settings)

    def __call__(self, x: Float[Array, "b t h w i"]) -> Float[Array, "b t h w o"]:
        """Returns the sum of both orders, of the size of `x`."""
        left = self.left2(self.left1(x))
        return left + self.right2(self.right1(x))


class C3D(nnx.Module):
    """One 3x3x3 convolution with bias."""

    def __init__(self, inputs: int, outputs: int, *, settings: ConvSettings):
        self.conv = Conv(inputs, outputs, (3, 3, 3), settings=settings)

    def __call__(self, x: Float[Array, "b t h w i"]) -> Float[Array, "b t h w o"]:
        """Returns the convolution of `x`, of its size."""
        return self.conv(x)


class NL3D(nnx.Module):
    """A 1x1x1 convolution, then a non-local block (Wang et al., CVPR 2018) over all positions of all frames.

    x = reduce(input); x + norm(expand(softmax(theta(x) phi(x)^T) g(x))), with phi and g pooled by 2 in space.
    The product is not scaled; theta, phi and g halve the channels. All are 1x1x1 convolutions with bias. The
    norm's scale starts at 0, so the block starts as the identity.
    """

    def __init__(self, inputs: int, outputs: int, *, settings: ConvSettings):
        def point(a, b):
            return Conv(a, b, (1, 1, 1), settings=settings)

        inner = max(1, outputs // 2)
        self.reduce = point(inputs, outputs)
        self.g, self.theta, self.phi = point(outputs, inner), point(outputs, inner), point(outputs, inner)
        self.expand = point(inner, outputs)
        # Not the norm of a `Conv`, which would take the place of the bias: the files hold both.
        self.norm = BatchNorm(outputs, settings)
        self.norm.scale[...] = jnp.zeros(outputs)

    def __call__(self, x: Float[Array, "b t h w i"]) -> Float[Array, "b t h w o"]:
        """Returns the reduced map and what each position saw elsewhere, of the size of `x`.

        Raises:
            UserError: for a map of one row or column, which has nothing left after the pool.
        """
        if min(x.shape[2:4]) < 2:
            raise UserError(
                f"the bridge nl3d pools by 2, and its map is only {x.shape[3]}x{x.shape[2]} here: "
                f"use frames of more than {STRIDE} pixels on each side"
            )
        x = self.reduce(x)
        theta, phi, g = self.theta(x), _pooled(self.phi(x)), _pooled(self.g(x))
        theta, phi, g = (y.reshape(len(y), -1, y.shape[-1]) for y in (theta, phi, g))
        wide = jnp.promote_types(x.dtype, jnp.float32)
        affinity = jnp.einsum("bni,bmi->bnm", theta, phi, preferred_element_type=wide)
        attention = jax.nn.softmax(affinity, axis=-1).astype(x.dtype)
        seen = self.expand(jnp.einsum("bnm,bmi->bni", attention, g).reshape(*x.shape[:4], -1))
        return x + self.norm(seen)


def _pooled(x: Float[Array, "b t h w c"]) -> Float[Array, "b t h2 w2 c"]:
    """Returns the largest of each 2x2 block of pixels; a last odd row or column is dropped."""
    b, t, h, w, c = x.shape
    return x[:, :, : h // 2 * 2, : w // 2 * 2].reshape(b, t, h // 2, 2, w // 2, 2, c).max((3, 5))


BRIDGES = {"gc3d": GC3D, "c3d": C3D, "nl3d": NL3D, "aspp": ASPP}
