"""Networks without weights: names and shapes of what a system needs, at no cost of memory."""

from typing import Any

import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float

from vos3d_jax import models


def abstract_model(system: str, **arguments: Any) -> nnx.Module:
    """Returns the network of `build_model` with shapes in place of arrays; its `arguments` are complete.

    Raises:
        UserError: as `build_model`.
    """
    network = models.network_class(system, arguments)
    return nnx.eval_shape(lambda: network(rng=_NoNumbers(), **arguments))


class _NoNumbers(np.random.Generator):
    """Under `eval_shape` its arrays have a shape and no memory."""

    def __init__(self):
        super().__init__(np.random.PCG64(0))

    def uniform(self, low: float, high: float, size: Any) -> Float[Array, "..."]:
        return jnp.zeros(size)

    def standard_normal(self, size: Any, dtype: Any = np.float32) -> Float[Array, "..."]:
        return jnp.zeros(size, dtype)
