"""The matrix product that most forms end in, with a kernel gradient that XLA:CPU computes without copies."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from vos3d_jax.models.convolution.fence import fence


def product(x: Float[Array, "*batch i"], kernel: Float[Array, "i o"]) -> Float[Array, "*batch o"]:
    """Returns x times the kernel over the last axis."""
    y = _product(x.reshape(-1, x.shape[-1]), kernel)
    return y.reshape(*x.shape[:-1], kernel.shape[-1])


@jax.custom_vjp
def _product(rows, kernel):
    return jnp.dot(rows, kernel)


def _forward(rows, kernel):
    return _product(rows, kernel), (rows, kernel)


def _backward(residuals, dy):
    """Contracts over one flat axis: over (b, t, h, w) XLA first copies both maps, 20 ms against 4.

    The narrower side comes first, which is twice as fast (14336 rows, 256 x 64: 4.2 ms against 7.8) unless
    the kernel, to be transposed then, is what is large; the fence keeps XLA from turning the product around.
    """
    rows, kernel = residuals
    inputs, outputs = kernel.shape
    if not outputs < inputs <= len(rows):
        dkernel = jnp.einsum("ni,no->io", rows, dy)
    else:
        dkernel = fence(jnp.transpose)(fence(lambda rows, dy: jnp.einsum("ni,no->oi", rows, dy))(rows, dy))
    return jnp.einsum("no,io->ni", dy, kernel), dkernel


_product.defvjp(_forward, _backward)
