import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("sharded_step.py")


@pytest.mark.slow
def test_a_mesh_of_eight_devices_gives_one_devices_loss_gradients_and_statistics():
    # Scanned blocks, batch norm in train mode, remat, and both mesh axes at once.
    environment = {
        **os.environ,
        "JAX_PLATFORMS": "cpu",
        "JAX_ENABLE_X64": "1",
        "XLA_FLAGS": "--xla_force_host_platform_device_count=8",
        "PYTHONPATH": str(SCRIPT.parents[2]),
    }
    done = subprocess.run([sys.executable, str(SCRIPT)], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    assert result.pop("devices") == 8
    for name, error in result.items():
        assert error <= 1e-5, f"{name}: {error}"
