"""Adding a bias, with a gradient that XLA:CPU computes quickly."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


@jax.custom_vjp
def bias_add(x: Float[Array, "*batch c"], bias: Float[Array, " c"]) -> Float[Array, "*batch c"]:
    """Returns x + bias over the last axis.

    The bias gradient is a product with a row of ones, accumulated in float32 at least: XLA:CPU sums
    columns 16 times slower than it multiplies matrices (8x32x56x256: 28 ms against 1.7).
    """
    return x + bias.astype(x.dtype)


def _forward(x, bias):
    return bias_add(x, bias), bias


def _backward(bias, dy):
    rows = dy.reshape(-1, dy.shape[-1])
    ones = jnp.ones((1, rows.shape[0]), dy.dtype)
    total = jnp.dot(ones, rows, preferred_element_type=jnp.promote_types(dy.dtype, jnp.float32))
    return dy, total[0].astype(bias.dtype)


bias_add.defvjp(_forward, _backward)
