"""The table of networks, and the file of names and shapes: what the networks themselves say."""

import dataclasses
import json
import struct
import subprocess
import sys

import manifests
import network_shapes
import numpy as np
import pytest
from flax import nnx

from vos3d_jax import models
from vos3d_jax.constants import BLOCKS
from vos3d_jax.models.backbones import BACKBONES
from vos3d_jax.models.encoder import Plan
from vos3d_jax.models.layers import ConvSettings
from vos3d_jax.models.resnet3d import ResNet3D
from vos3d_jax.porting import convert, export, networks, open_checkpoint, plan, rules, targets

SMALL = {"depth": 14, "width": 4, "decoder_width": 8}


def _of_the_network(system, given, monkeypatch):
    monkeypatch.setattr(targets, "published_shapes", lambda *_: None)
    return list(targets.shapes(system, given).items())


@pytest.mark.slow
def test_the_file_of_names_and_shapes_is_what_the_networks_say():
    assert network_shapes.PATH.read_text() == network_shapes.text()


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


class Toy(nnx.Module):
    """The encoder of RGMP: it sees images, and takes a mask beside each."""

    def __init__(self, *, depth=14, width=2, epsilon=1e-5, mean=(0.0,) * 3, std=(1.0,) * 3, rng):
        plans = (Plan(), *3 * (Plan(first={"stride": (1, 2, 2)}),))
        flat = {"kernel_size": (1, 3, 3), "stem_kernel": (1, 7, 7), "guidance": 1, "plans": plans}
        self.encoder = ResNet3D(depth, width=width, settings=ConvSettings(rng, epsilon=epsilon), **flat)


def test_a_file_of_a_network_for_images_fills_one_of_frames_by_a_row_in_each_table(tmp_path, monkeypatch):
    guidance = {"encoder/stem/guidance": ("Encoder.conv1_p", None)}
    source = dataclasses.replace(rules.SOURCES["rgmp"], systems={"image": "toy"}, others=guidance)
    monkeypatch.setitem(models.SYSTEMS, "toy", Toy)
    monkeypatch.setitem(networks.NETWORKS, "toy", networks.Network({"image": "rgmp"}))
    monkeypatch.setitem(rules.SOURCES, "rgmp", source)
    monkeypatch.setitem(BLOCKS, "image", BLOCKS["resnet"])
    tensors = manifests.recipe_tensors("toy", "rgmp", depth=26, width=3)
    assert tensors["Encoder.res3.1.conv2.weight"].shape == (6, 6, 3, 3)
    checkpoint = open_checkpoint(manifests.write(tmp_path / "weights.pth", tensors))
    planned = plan.make(checkpoint)
    assert planned.counts() == {"used": len(tensors)}
    assert planned.arguments.items() >= {"depth": 26, "width": 3}.items()
    variables, _ = convert.fill(checkpoint, planned)
    ours = targets.views(variables)["encoder/stage2/1/spatial/kernel"]
    assert ours.shape == (1, 3, 3, 6, 6)
    theirs = tensors["Encoder.res3.1.conv2.weight"]
    np.testing.assert_array_equal(ours[0], theirs.transpose(2, 3, 1, 0))
    # And back: the exact inverse.
    monkeypatch.setattr(export, "NAMINGS", ("rgmp",))
    card = {"system": "toy", "arguments": {"depth": 26, "width": 3}}
    written = export.state_dict(variables, card, export.default_naming(card))
    for name, tensor in tensors.items():
        np.testing.assert_array_equal(written[name], tensor, err_msg=name)


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
