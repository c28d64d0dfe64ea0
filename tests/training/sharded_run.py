"""Trains the toy network into the folder it is given, on eight virtual devices, for test_sharded_loop.py.

A program of its own because the number of (virtual) devices must be set before jax starts.
"""

import sys
from pathlib import Path

import jax
import pytest
import toy_network

from vos3d_jax.training import loop

SIZE = (64, 32)  # rows that can be divided over two devices


def config(**mesh: int):
    """Both stages, short, for one device or the `mesh`."""
    stages = [toy_network.stage(name, steps=3, batch_size=8, size=SIZE) for name in ("pretrain", "finetune")]
    return toy_network.config(stages=stages, mesh=mesh)


if __name__ == "__main__":
    assert jax.device_count() == 8
    with pytest.MonkeyPatch.context() as patch:
        toy_network.register(patch)
        loop.train(config(data=4, space=2), Path(sys.argv[1]))
