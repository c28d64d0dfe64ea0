import os
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).with_name("sharded_depthwise.py")


def test_over_a_split_batch_the_depthwise_gradient_moves_kernels_and_no_maps():
    # Trap: a loop that reads row after row of the batch makes XLA gather both maps on every device.
    environment = {
        **os.environ,
        "JAX_PLATFORMS": "cpu",
        "XLA_FLAGS": "--xla_force_host_platform_device_count=8",
        "PYTHONPATH": str(SCRIPT.parents[2]),
    }
    done = subprocess.run([sys.executable, str(SCRIPT)], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "all-reduce" in done.stdout  # of the kernel's gradient: the program is split
    for moved in ("all-gather", "all-to-all", "collective-permute", "while"):
        assert f" {moved}(" not in done.stdout and f" {moved}-start(" not in done.stdout, moved
