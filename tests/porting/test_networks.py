"""The table of networks, and the file of names and shapes: what the networks themselves say."""

import json
import struct
import subprocess
import sys

import manifests
import network_shapes
import numpy as np
import pytest

from vos3d_jax import models
from vos3d_jax.models.backbones import BACKBONES
from vos3d_jax.porting import networks, rules, targets

SMALL = {"depth": 14, "width": 4, "decoder_width": 8}


def _of_the_network(system, given, monkeypatch):
    monkeypatch.setattr(targets, "published_shapes", lambda *_: None)
    return list(targets.shapes(system, given).items())


@pytest.mark.slow
def test_the_file_of_names_and_shapes_is_what_the_networks_say():
    assert json.loads(network_shapes.PATH.read_bytes()) == network_shapes.content()


@pytest.mark.parametrize(
    "system, given",
    [
        ("dcseg", {}),
        ("dcseg", {"backbone": "r2plus1d", "depth": 34, "classes": 7}),
        ("dcseg", {"refinement": "light_gn"}),
        ("csn_classifier", {"depth": 50, "classes": 3}),
        ("r2plus1d_classifier", {"depth": 18}),
    ],
)
def test_a_published_network_has_the_same_tensors_in_the_same_order_without_jax(system, given, monkeypatch):
    known = networks.published_shapes(system, given)
    assert list(known.items()) == _of_the_network(system, given, monkeypatch)


def test_a_network_of_another_size_is_asked_itself():
    given = {**SMALL, "depth": 26}
    assert networks.published_shapes("dcseg", given) is None
    assert targets.shapes("dcseg", given)["encoder/stage4/1/reduce/kernel"] == (1, 1, 1, 128, 32)


def test_names_and_shapes_depend_on_no_other_argument(monkeypatch):
    others = {
        "stem_time_padding": 3, "momentum": 0.5, "epsilon": 0.5, "mean": (1.0,) * 3, "std": (2.0,) * 3,
        "dtype": "bfloat16", "remat": True, "implementation": "lax",
    }  # fmt: skip
    own = set(targets.arguments("dcseg", SMALL))
    assert own == {*network_shapes.SHAPING, *others, "temporal_strides"}
    plain = _of_the_network("dcseg", SMALL, monkeypatch)
    assert _of_the_network("dcseg", {**SMALL, **others}, monkeypatch) == plain
    resnet = {**SMALL, "backbone": "resnet"}
    strides = {**resnet, "temporal_strides": False}
    assert _of_the_network("dcseg", strides, monkeypatch) == _of_the_network("dcseg", resnet, monkeypatch)


def test_the_table_names_systems_backbones_and_sources_that_there_are():
    assert set(networks.NETWORKS) <= set(models.SYSTEMS)
    for network in networks.NETWORKS.values():
        for backbone, naming in network.namings.items():
            assert backbone in BACKBONES and backbone in rules.SOURCES[naming].systems
    for source in rules.SOURCES.values():
        for backbone, system in source.systems.items():
            assert backbone in networks.NETWORKS[system].namings and backbone in source.settings


INSPECT = """
import sys
from pathlib import Path
sys.modules["jax"] = sys.modules["torch"] = None
def most(): return int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]) * 1024
before = most()
from vos3d_jax import port_weights
status = port_weights.main()
print("memory", most() - before)
sys.exit(status)
"""


def _write_empty(path, shapes):
    """A safetensors file whose tensors take no room on the disk."""
    header, end = {}, 0
    for name, shape in shapes.items():
        begin, end = end, end + 4 * int(np.prod(shape))
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [begin, end]}
    encoded = json.dumps(header).encode()
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(encoded)) + encoded)
        file.truncate(8 + len(encoded) + end)
    return str(path)


def test_inspect_of_the_published_network_needs_no_jax_and_little_memory(tmp_path):
    names = manifests.manifest("3dcseg_saliencynetwork_gc3d")
    path = _write_empty(
        tmp_path / "weights.safetensors",
        {name: shape for name, shape in names.items() if name not in ("encoder.mean", "encoder.std")},
    )
    done = subprocess.run([sys.executable, "-c", INSPECT, "inspect", path], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "depth=152" in done.stdout
    assert int(done.stdout.split()[-1]) < 50 << 20  # all imports included
