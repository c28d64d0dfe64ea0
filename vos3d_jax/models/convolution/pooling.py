"""The stem's max pool: kernel (1,3,3), stride (1,2,2), padding (0,1,1), with a backward pass that fuses."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from vos3d_jax.models.convolution.fence import fence


@jax.custom_vjp
def max_pool3d(x: Float[Array, "b t h w c"]) -> Float[Array, "b t h2 w2 c"]:
    """Returns the largest of each 3x3 window of every second pixel; padding never wins (minus infinity).

    The gradient goes to the first maximum of a window in reading order, as in PyTorch.
    """
    columns = _largest(x, axis=3)
    return _largest(columns, axis=2)


def _largest(x, axis):
    """The largest of positions 2o - 1, 2o, 2o + 1 along `axis`."""
    even, before, after = _phases(x, axis, -jnp.inf)
    return jnp.maximum(jnp.maximum(before, even), after)


def _phases(x, axis, fill):
    """Positions 2o, 2o - 1 and 2o + 1 along `axis`, `fill` where they are outside."""
    n = x.shape[axis]
    count = (n + 1) // 2
    widths = [(0, 0)] * x.ndim
    widths[axis] = (1, 2 * count - n)
    padded = jnp.pad(x, widths, constant_values=fill)  # length 2 * count + 1

    def every_second(start):
        return jax.lax.slice_in_dim(padded, start, start + 2 * count - 1, 2, axis=axis)

    return every_second(1), every_second(0), every_second(2)


def _forward(x):
    y = max_pool3d(x)
    return y, (x, y)


def _backward(residuals, dy):
    """Each x belongs to up to four windows; it is the winner of one if no earlier pixel of it is as large."""
    x, y = residuals
    height, width = x.shape[2:4]
    rows, columns = y.shape[2:4]

    def winners(x, y, dy):
        padded = jnp.pad(
            x,
            ((0, 0), (0, 0), (1, 2 * rows - height), (1, 2 * columns - width), (0, 0)),
            constant_values=-jnp.inf,
        )
        open_ = jnp.ones(y.shape, bool)
        shares = []
        for i in range(3):
            for j in range(3):
                pixel = padded[:, :, i : i + 2 * rows - 1 : 2, j : j + 2 * columns - 1 : 2]
                wins = open_ & (pixel == y)
                open_ = open_ & ~wins
                shares.append(jnp.where(wins, dy, jnp.zeros((), dy.dtype)))
        return shares

    def collect(shares):
        def along(parts, axis):  # parts of positions 2o - 1, 2o, 2o + 1 -> phases even, odd
            before, even, after = parts
            widths = [(0, 0)] * before.ndim
            widths[axis] = (0, 1)
            later = jax.lax.slice_in_dim(jnp.pad(before, widths), 1, before.shape[axis] + 1, axis=axis)
            return even, after + later

        by_row = [along(shares[3 * i : 3 * i + 3], axis=3) for i in range(3)]
        even = along([parts[0] for parts in by_row], axis=2)
        odd = along([parts[1] for parts in by_row], axis=2)
        lines = [jnp.stack([even[i], odd[i]], 4).reshape(*y.shape[:3], 2 * columns, -1) for i in range(2)]
        full = jnp.stack(lines, 3).reshape(*y.shape[:2], 2 * rows, 2 * columns, -1)
        return full[:, :, :height, :width]

    return (fence(collect)(fence(winners)(x, y, dy)),)


max_pool3d.defvjp(_forward, _backward)
