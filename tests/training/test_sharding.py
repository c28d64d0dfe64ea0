import json
import os
import subprocess
import sys
from pathlib import Path

import jax
import pytest
import toy_network

from vos3d_jax import recipe, schema
from vos3d_jax.errors import UserError
from vos3d_jax.training import sharding


def test_the_mesh_takes_all_devices_unless_told():
    mesh = sharding.make_mesh(recipe.Mesh())
    assert dict(mesh.shape) == {"data": jax.device_count(), "space": 1}


@pytest.mark.parametrize("sizes", [(3, 3), (0, 16), (0, 0)])
def test_a_mesh_that_does_not_fit_is_a_users_error(sizes):
    with pytest.raises(UserError, match="does not fit 8 device"):
        sharding.make_mesh(recipe.Mesh(*sizes), [jax.devices()[0]] * 8)


@pytest.mark.parametrize(
    ("changes", "shape", "message"),
    [
        ({"batch_size": 6}, (4, 1), "batch of 6 cannot be divided over 4 devices"),
        ({"size": (96, 64)}, (2, 2), "choose a height divisible by 64"),
    ],
)
def test_sizes_that_do_not_divide_are_named(changes, shape, message):
    mesh = jax.sharding.AbstractMesh(shape, ("data", "space"))
    with pytest.raises(UserError, match=message):
        sharding.check(schema.parse(toy_network.stage(**changes), recipe.Stage, "config"), mesh)


_COMPARE = """
import json
import jax, numpy as np
import toy_network
from vos3d_jax import models
from vos3d_jax.recipe import Mesh
from vos3d_jax.training import sharding, state

models.SYSTEMS["toy"] = toy_network.Toy
config = toy_network.config(stages=[toy_network.stage(size=(64, 32), batch_size=4)])
stage, first = config.stages[0], jax.device_get(state.random_state(config))
batch = toy_network.batch(clips=4, frames=2, size=(64, 32))

def run(sizes):
    mesh = sharding.make_mesh(sizes)
    whole, split = sharding.replicated(mesh), sharding.of_batch(batch, mesh)
    gradients = state.make_gradients(config, stage, mesh)
    function = jax.jit(gradients, in_shardings=(whole, split), out_shardings=whole)
    return jax.device_get(function(jax.device_put(first, whole), sharding.put(batch, mesh)))

one, many = run(Mesh(1, 1)), run(Mesh(4, 2))
worst = {}
for name, index in (("gradients", 0), ("metrics", 1), ("batch_stats", 2)):
    pairs = zip(jax.tree.leaves(one[index]), jax.tree.leaves(many[index]), strict=True)
    worst[name] = max(float(np.abs(a - b).max() / np.abs(a).max()) for a, b in pairs)
print(json.dumps({"devices": jax.device_count(), "loss": float(one[1]["loss"]), **worst}))
"""


def test_a_mesh_of_4x2_gives_one_devices_loss_gradients_and_batch_statistics():
    # With the real network: tests/models/test_sharded_training.py.
    result = _run_on_eight_devices(_COMPARE)
    assert result["devices"] == 8 and result["loss"] > 0.1
    assert max(result[name] for name in ("gradients", "metrics", "batch_stats")) <= 1e-5, result


_LABELS = """
import json
import jax, numpy as np
import toy_network, toy_rows
from vos3d_jax import models
from vos3d_jax.recipe import Mesh
from vos3d_jax.training import sharding, state, tasks

models.SYSTEMS["toy"] = toy_network.Toy
tasks.TASKS["labelling"] = toy_rows.Labelling
config = toy_network.config(stages=[toy_network.stage(size=(64, 32), batch_size=4, task="labelling")])
stage, first = config.stages[0], jax.device_get(state.random_state(config))
batch = toy_network.batch(clips=4, frames=3, size=(64, 32))
rng = np.random.default_rng(0)
batch |= {"label": np.array([0, 1, 1, 0], np.int32), "box": rng.normal(size=(4, 3, 4)).astype(np.float32)}

def run(sizes):
    mesh = sharding.make_mesh(sizes)
    step = state.make_step(config, stage, mesh, batch)
    placed = sharding.put(batch, mesh)
    parts = {name: array.sharding.shard_shape(array.shape) for name, array in placed.items()}
    after, metrics = step(jax.device_put(first, sharding.replicated(mesh)), placed, np.float32(0.01))
    return parts, jax.device_get(metrics), jax.device_get(after.params)

(_, metrics, params), (parts, *many) = run(Mesh(1, 1)), run(Mesh(2, 2))
pairs = zip(jax.tree.leaves((metrics, params)), jax.tree.leaves(many), strict=True)
worst = max(float(np.abs(a - b).max() / np.abs(a).max()) for a, b in pairs)
print(json.dumps({"parts": parts, "worst": worst, "height": float(metrics["box_height"])}))
"""


def test_on_a_mesh_of_2x2_labels_and_boxes_are_cut_along_the_batch_and_pictures_along_their_rows_too():
    # Trap: a label has no rows to cut, and the third axis of boxes [b, t, 4] is none.
    result = _run_on_eight_devices(_LABELS)
    assert result["parts"] == {
        "label": [2],
        "box": [2, 3, 4],
        "clip": [2, 3, 32, 32, 3],
        "mask": [2, 3, 32, 32],
    }
    assert result["worst"] <= 1e-5 and result["height"] != 0


def _run_on_eight_devices(script):
    """What the last line of the script's output says."""
    environment = {
        **os.environ,
        "JAX_PLATFORMS": "cpu",
        "XLA_FLAGS": "--xla_force_host_platform_device_count=8",
        "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]),
    }
    run = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr[-2000:]
    return json.loads(run.stdout.splitlines()[-1])
