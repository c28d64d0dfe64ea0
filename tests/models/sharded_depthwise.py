"""Prints the compiled gradient of a depthwise convolution over eight devices, for test_sharded_depthwise.py.

A program of its own because the number of (virtual) devices must be set before jax starts.
"""

import jax
import jax.numpy as jnp
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from vos3d_jax.models.convolution import depthwise_conv3d


def main() -> None:
    # The forms for accelerators, on virtual CPU devices: what is asked is only how they are partitioned.
    jax.default_backend = lambda: "gpu"
    mesh = jax.make_mesh((8,), ("data",), axis_types=(AxisType.Auto,))
    split, whole = (NamedSharding(mesh, PartitionSpec(*names)) for names in (("data",), ()))
    x = jax.ShapeDtypeStruct((8, 4, 6, 10, 16), jnp.float32, sharding=split)
    kernel = jax.ShapeDtypeStruct((3, 3, 3, 1, 16), jnp.float32, sharding=whole)

    def gradients(x, kernel, dy):
        padding = ((1, 1),) * 3
        y, vjp = jax.vjp(lambda x, kernel: depthwise_conv3d(x, kernel, padding=padding), x, kernel)
        return y, *vjp(dy)

    step = jax.jit(gradients, out_shardings=(split, split, whole))
    print(step.lower(x, kernel, x).compile().as_text())


if __name__ == "__main__":
    main()
