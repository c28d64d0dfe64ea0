"""The plain description of every network says what the network itself says, tensor by tensor."""

import subprocess
import sys

import manifests
import pytest

from vos3d_jax import models
from vos3d_jax.models import stacking
from vos3d_jax.models.backbones import BACKBONES, choices
from vos3d_jax.models.bridges import BRIDGES
from vos3d_jax.models.refinement import REFINEMENTS
from vos3d_jax.porting import outline, targets

# Odd widths: nothing divides evenly.
SMALL = {"depth": 14, "width": 5, "decoder_width": 12}
ENCODERS = [
    {"backbone": backbone, "depth": depth, "separation": separation}
    for backbone in BACKBONES
    for depth in choices(backbone)["depth"]
    for separation in choices(backbone)["separation"]
]
CASES = [
    *[("dcseg", {**SMALL, "bridge": bridge}) for bridge in BRIDGES],
    *[("dcseg", {**SMALL, "refinement": refinement, "classes": 3}) for refinement in REFINEMENTS],
    ("dcseg", {**SMALL, "backbone": "r2plus1d", "depth": 10, "bridge": "aspp"}),
]
# Larger networks and what a system has where nothing is given: the same lines of code, more of them.
SLOW = [
    *[("dcseg", {**SMALL, **encoder}) for encoder in ENCODERS],
    *[(system, {}) for system in outline.SYSTEMS],
    ("dcseg", {"bridge": "aspp", "refinement": "light_gn", "width": 64, "decoder_width": 256}),
]


def _of_the_network(system, given):
    flat = {}
    for kind in targets.abstract(system, given).values():
        for path, leaf in stacking.flatten(kind).items():
            flat[path] = leaf.shape
    return flat


def _stacked(unstacked):
    """The shapes of stacked blocks, as `stacking` names them."""
    flat, counts = {}, {}
    for path, shape in unstacked.items():
        parts = path.split("/")
        number = next((part for part in parts if part.isdigit()), None)
        name = "/".join({"0": "first"}.get(part, "rest") if part == number else part for part in parts)
        if name in flat:
            assert flat[name] == shape
        flat[name], counts[name] = shape, counts.get(name, 0) + 1
    return {
        name: (counts[name], *shape) if "/rest/" in name else shape for name, shape in sorted(flat.items())
    }


@pytest.mark.parametrize(
    "system, given",
    [*CASES, *[pytest.param(*case, marks=pytest.mark.slow) for case in SLOW]],
    ids=lambda value: value if isinstance(value, str) else "-".join(map(str, value.values())),
)
def test_a_network_in_plain_words_has_the_shapes_of_the_real_one(system, given):
    assert _stacked(outline.shapes(system, given)) == dict(sorted(_of_the_network(system, given).items()))


def test_every_encoder_and_its_depths_are_known():
    assert set(outline.SYSTEMS) <= set(models.SYSTEMS)
    assert set(outline.BLOCKS) == set(BACKBONES)


def test_the_order_is_that_of_the_tables():
    given = {**SMALL, "depth": 50}
    empty = {path: 0 for path in outline.shapes("dcseg", given)}
    assert list(empty) == list(stacking.unstack(stacking.nest(empty)))
    assert list(empty).index("encoder/stage3/2/reduce/kernel") > list(empty).index(
        "encoder/stage3/0/reduce/kernel"
    )


def test_a_system_without_a_plain_description_is_asked_itself(monkeypatch):
    given = {**SMALL, "depth": 26}
    plain = targets.shapes("dcseg", given)
    monkeypatch.setattr(outline, "SYSTEMS", ())
    asked = targets.shapes("dcseg", given)
    assert list(asked.items()) == list(plain.items())


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


def test_inspect_needs_no_jax_and_little_memory(tmp_path):
    tensors = manifests.recipe_tensors("dcseg", "3dcseg", **{**SMALL, "decoder_width": 64})
    path = manifests.write(tmp_path / "weights.pth", tensors)
    done = subprocess.run([sys.executable, "-c", INSPECT, "inspect", path], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "depth=14" in done.stdout
    assert int(done.stdout.split()[-1]) < 50 << 20  # all imports included
