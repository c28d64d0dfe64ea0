"""Writes vos3d_jax/porting/network_shapes.json from the networks: `python tests/porting/network_shapes.py`.

Names and shapes of the networks whose weights are published, every part of them once, equal blocks of a stage
once. The number of classes is left open.
"""

import inspect
import json
from pathlib import Path

import vos3d_jax.porting
from vos3d_jax import models
from vos3d_jax.models import stacking
from vos3d_jax.models.bridges import BRIDGES
from vos3d_jax.models.refinement import REFINEMENTS
from vos3d_jax.porting import targets
from vos3d_jax.porting.networks import NETWORKS

PATH = Path(vos3d_jax.porting.__file__).with_name("network_shapes.json")
# The arguments that names and shapes depend on.
SHAPING = ("backbone", "depth", "width", "separation", "bridge", "refinement", "decoder_width", "classes")
ENCODERS = [
    *[{"backbone": "csn", "depth": depth, "separation": "ir"} for depth in (50, 101, 152)],
    {"backbone": "csn", "depth": 152, "separation": "ip"},
    *[{"backbone": "resnet", "depth": depth} for depth in (50, 101, 152)],
    *[{"backbone": "r2plus1d", "depth": depth} for depth in (18, 34)],
]
CLASSIFIERS = {"csn": "csn_classifier", "resnet": "resnet3d_classifier", "r2plus1d": "r2plus1d_classifier"}
# Any backbone file may become an encoder; other decoders are published for one encoder.
PUBLISHED = [
    *[("dcseg", encoder) for encoder in ENCODERS],
    *[("dcseg", {"bridge": bridge}) for bridge in BRIDGES if bridge != "gc3d"],
    *[("dcseg", {"refinement": refinement}) for refinement in REFINEMENTS if refinement != "rf3d"],
    *[
        (CLASSIFIERS[encoder["backbone"]], {k: v for k, v in encoder.items() if k != "backbone"})
        for encoder in ENCODERS
    ],
]
CLASSES = 10_007  # stands for any number: no axis of these networks has this size


def defaults(system):
    """{argument that shapes it: its value where none is given}"""
    parameters = inspect.signature(models.SYSTEMS[system].__init__).parameters
    return {name: parameters[name].default for name in SHAPING if name in parameters}


def tree(system, arguments):
    """{part: {module: ... {name: shape as text}}}, in the order of tables; blocks "1-35" are alike."""
    shapes = {}
    for kind in targets.abstract(system, {**arguments, "classes": CLASSES}).values():
        for path, leaf in stacking.flatten(kind).items():
            axes = leaf.shape
            if "/rest/" in path:
                path, axes = path.replace("/rest/", f"/1-{axes[0]}/"), axes[1:]
            path = path.replace("/first/", "/0/")
            shapes[path] = "x".join("classes" if axis == CLASSES else str(axis) for axis in axes)
    return stacking.nest({path: shapes[path] for path in sorted(shapes, key=lambda path: path.split("/"))})


def content():
    """What the file holds.

    "systems": {system: [arguments where none are given, [[arguments, {part: which of its forms}], ...]]}, and
    "parts": {part: its forms}.
    """
    parts, systems = {}, {system: (defaults(system), []) for system in NETWORKS}
    for system, arguments in PUBLISHED:
        numbers = {}
        for name, part in tree(system, arguments).items():
            known = parts.setdefault(name, [])
            if part not in known:
                known.append(part)
            numbers[name] = known.index(part)
        given = {**defaults(system), **arguments}
        given.pop("classes")
        systems[system][1].append((given, numbers))
    return {"systems": systems, "parts": parts}


def text():
    """The file itself."""
    return json.dumps(content(), indent=1) + "\n"


if __name__ == "__main__":
    PATH.write_text(text())
