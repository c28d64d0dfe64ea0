"""One mesh with axes `data` (clips) and `space` (rows of a frame), and what lies where on it.

What used to be `pjit` is `jax.jit` with explicit shardings. XLA makes the halo exchanges of convolutions
along `space` by itself, for plain `lax` convolutions.
"""

from collections.abc import Mapping

import jax
import numpy as np
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from vos3d_jax.constants import STRIDE
from vos3d_jax.errors import UserError
from vos3d_jax.recipe import Mesh, Stage


def make_mesh(sizes: Mesh, devices: list[jax.Device] | None = None) -> jax.sharding.Mesh:
    """Returns the mesh of `sizes` over all devices; UserError when they do not fit."""
    devices = jax.devices() if devices is None else devices
    data = sizes.data or len(devices) // max(1, sizes.space)
    if min(data, sizes.space) < 1 or data * sizes.space > len(devices):
        raise UserError(
            f"a mesh of data {sizes.data or 'all'} x space {sizes.space} does not fit"
            f" {len(devices)} device(s): set --config.mesh.data and --config.mesh.space"
        )
    # Auto: XLA decides the shardings inside the step. The default of make_mesh is Explicit.
    shape, auto = (data, sizes.space), (AxisType.Auto,) * 2
    return jax.make_mesh(shape, ("data", "space"), axis_types=auto, devices=devices[: data * sizes.space])


def check(stage: Stage, mesh: jax.sharding.Mesh | jax.sharding.AbstractMesh) -> None:
    """Raises UserError when the batch or the height of `stage` cannot be divided over `mesh`."""
    data, space = mesh.shape["data"], mesh.shape["space"]
    if stage.batch_size % data:
        raise UserError(
            f"stage {stage.name}: a batch of {stage.batch_size} cannot be divided over {data} devices:"
            f" choose a batch_size that is a multiple of {data}, or a smaller --config.mesh.data"
        )
    # Of the encoder's coarsest map each device needs whole rows.
    if stage.size[0] // STRIDE % space:
        raise UserError(
            f"stage {stage.name}: a height of {stage.size[0]} cannot be divided over the mesh's"
            f" space {space}: choose a height divisible by {STRIDE * space}"
        )


def replicated(mesh: jax.sharding.Mesh) -> NamedSharding:
    """Returns the sharding of the state: a whole copy on every device."""
    return NamedSharding(mesh, PartitionSpec())


def of_batch(
    batch: Mapping[str, jax.Array | np.ndarray], mesh: jax.sharding.Mesh
) -> dict[str, NamedSharding]:
    """Returns the sharding of each array of a batch, all of which begin with the axis of its samples.

    Pictures, [b, t, h, w, ...], are cut along `data` and, by rows, along `space`; what has a lower rank (a
    label [b], boxes [b, t, 4]) along `data` alone.
    """
    pictures, others = PartitionSpec("data", None, "space"), PartitionSpec("data")
    return {
        name: NamedSharding(mesh, pictures if array.ndim >= 4 else others) for name, array in batch.items()
    }


def put(batch: Mapping[str, np.ndarray], mesh: jax.sharding.Mesh) -> dict[str, jax.Array]:
    """Returns the batch on the devices of `mesh`."""
    return jax.device_put(dict(batch), of_batch(batch, mesh))


def implementation(mesh: jax.sharding.Mesh) -> str:
    """Returns the convolutions to build with: plain ones where rows are split, or over several CPU devices.

    The forms for CPU do not partition well; those for accelerators do along the batch.
    """
    several_cpus = mesh.size > 1 and mesh.devices.flat[0].platform == "cpu"
    return "lax" if mesh.shape["space"] > 1 or several_cpus else "auto"
