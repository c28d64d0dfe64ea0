"""The networks that files fill: one table, and what their tensors are called and how large they are.

A network of ours that published weights are for is a row here; what a kind of file becomes is a row of
`rules.SOURCES`. Names and shapes of published sizes are in `network_shapes.json`, so that `inspect` needs no
jax; the networks themselves are asked for all others.
"""

import functools
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Shapes = dict[str, tuple[int, ...]]


@dataclass(frozen=True)
class Network:
    """What porting knows of one of `models.SYSTEMS`.

    Attributes:
        namings: {backbone: whose names its weights usually have (a key of `rules.SOURCES`)}, for all that it
            can have; the first is that of a network with no such argument.
        part: what a file of a backbone alone fills, as the beginning of paths; None: it takes no such file.
        kept: arguments of that file's own network which hold for this one, too.
    """

    namings: Mapping[str, str]
    part: str | None = None
    kept: tuple[str, ...] = ()


NETWORKS: dict[str, Network] = {
    "dcseg": Network(
        namings={"csn": "3dcseg", "resnet": "3dcseg", "r2plus1d": "3dcseg_old"},
        part="encoder/",
        kept=("depth", "width", "separation"),
    ),
    "csn_classifier": Network({"csn": "vmz"}),
    "resnet3d_classifier": Network({"resnet": "3dcseg_backbone"}),
    "r2plus1d_classifier": Network({"r2plus1d": "r2plus1d"}),
}


def backbone_of(system: str, arguments: Mapping[str, Any]) -> str:
    """Returns the backbone of a network with these arguments; "" for a system that is not in the table."""
    namings = NETWORKS[system].namings if system in NETWORKS else ()
    return arguments.get("backbone", next(iter(namings), ""))


def takers(backbone: str) -> list[str]:
    """Returns the systems that a file of this backbone alone fills a part of."""
    return [name for name, network in NETWORKS.items() if network.part and backbone in network.namings]


def published_shapes(system: str, given: Mapping[str, Any]) -> Shapes | None:
    """Returns {unstacked path: shape}, blocks in order; None unless a network of that size is published.

    Args:
        system: a key of `models.SYSTEMS`.
        given: arguments that it can have; any number of classes is known.
    """
    defaults, published = _data()["systems"].get(system, ({"classes": 0}, ()))
    values = {name: given.get(name, default) for name, default in defaults.items()}
    classes = values.pop("classes")
    for arguments, numbers in published:
        if arguments == values:
            parts = {name: _data()["parts"][name][number] for name, number in numbers.items()}
            return dict(_leaves(parts, "", classes))
    return None


def _leaves(tree: Mapping[str, Any], path: str, classes: int | None) -> Iterator[tuple[str, tuple[int, ...]]]:
    """(path, shape) of every tensor; blocks "1-35" are alike, and an axis "classes" counts those."""
    for name, inner in tree.items():
        first, dash, last = name.partition("-")
        for one in range(int(first), int(last) + 1) if dash else (name,):
            if isinstance(inner, dict):
                yield from _leaves(inner, f"{path}{one}/", classes)
            else:
                axes = inner.split("x")
                yield f"{path}{one}", tuple(classes if axis == "classes" else int(axis) for axis in axes)


@functools.cache
def _data() -> dict[str, Any]:
    return json.loads(Path(__file__).with_name("network_shapes.json").read_bytes())
