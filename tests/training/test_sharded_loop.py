import json
import os
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
import sharded_run
import toy_network

from vos3d_jax import storage
from vos3d_jax.training import loop

pytestmark = pytest.mark.usefixtures("toy_system")
toy_system = toy_network.toy_system

SCRIPT = Path(sharded_run.__file__)


@pytest.mark.slow
def test_a_run_on_a_mesh_of_eight_devices_is_that_of_one_and_goes_on_there(tmp_path, capsys):
    environment = {
        **os.environ,
        "JAX_PLATFORMS": "cpu",
        "XLA_FLAGS": "--xla_force_host_platform_device_count=8",
        "PYTHONPATH": os.pathsep.join(map(str, (SCRIPT.parents[2], SCRIPT.parents[1]))),
    }
    meshed, single = tmp_path / "meshed", tmp_path / "single"
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(meshed)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "mesh data 4 x space 2" in done.stdout and "of 8 clips (2 a device)" in done.stdout

    expected = loop.train(sharded_run.config(), single)
    losses = [
        [json.loads(line)["loss"] for line in (folder / "metrics.jsonl").read_text().splitlines()]
        for folder in (meshed, single)
    ]
    assert len(losses[0]) == 6
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-4)
    # What eight devices saved, one device takes up: here a run that is finished.
    found = loop.train(sharded_run.config(), meshed)
    assert "finished already" in capsys.readouterr().out
    for one, other in zip(
        *(jax.tree.leaves(storage.model_variables(model)) for model in (found, expected)), strict=True
    ):
        np.testing.assert_allclose(np.asarray(one), np.asarray(other), atol=1e-3)
