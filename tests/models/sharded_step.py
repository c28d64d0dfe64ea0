"""Prints the largest relative difference between one device and a mesh, for test_sharded_training.py.

A program of its own because the number of (virtual) devices must be set before jax starts.
"""

import json

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from vos3d_jax.models import build_model
from vos3d_jax.training.losses import segmentation_loss


def main() -> None:
    model = build_model(
        "dcseg", depth=50, width=4, decoder_width=8, remat=True, implementation="lax", dtype="float64"
    )
    model = nnx.view(model, batch_norm="train")
    graphdef, parameters, statistics = nnx.split(model, nnx.Param, nnx.BatchStat)
    # Float64, so that only a wrong program can differ, not the order of its sums.
    parameters, statistics = (
        jax.tree.map(lambda x: x.astype(jnp.float64), nnx.to_pure_dict(state))
        for state in (parameters, statistics)
    )
    rng = np.random.default_rng(0)
    clip = rng.integers(0, 256, (4, 4, 128, 64, 3)).astype(np.uint8)
    mask = (rng.random((4, 4, 128, 64)) > 0.7).astype(np.uint8)

    def loss(parameters, statistics, clip, mask):
        copy = nnx.merge(graphdef, parameters, statistics, copy=True)
        value = segmentation_loss(copy(clip), mask)
        return value, nnx.to_pure_dict(nnx.state(copy, nnx.BatchStat))

    step = jax.jit(jax.value_and_grad(loss, has_aux=True))
    (one_loss, one_statistics), one_gradient = step(parameters, statistics, clip, mask)

    mesh = jax.make_mesh((4, 2), ("data", "space"), axis_types=(AxisType.Auto,) * 2)
    whole = NamedSharding(mesh, PartitionSpec())
    clip = jax.device_put(clip, NamedSharding(mesh, PartitionSpec("data", None, "space")))
    mask = jax.device_put(mask, NamedSharding(mesh, PartitionSpec("data", None, "space")))
    parameters, statistics = jax.device_put((parameters, statistics), whole)
    (mesh_loss, mesh_statistics), mesh_gradient = step(parameters, statistics, clip, mask)

    def error(a, b):
        a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
        return float(np.abs(a - b).max() / max(np.abs(a).max(), 1e-30))

    print(
        json.dumps(
            {
                "devices": jax.device_count(),
                "loss": error(one_loss, mesh_loss),
                "gradient": max(jax.tree.leaves(jax.tree.map(error, one_gradient, mesh_gradient))),
                "statistics": max(jax.tree.leaves(jax.tree.map(error, one_statistics, mesh_statistics))),
            }
        )
    )


if __name__ == "__main__":
    main()
