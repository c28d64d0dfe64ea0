"""Between the stacked parameters of scanned blocks and one entry per block, as every table shows them.

The equal blocks of a stage live under `.../rest` with a leading axis, the block before them under
`.../first` (see `encoder.Stage`); unstacked, block i is `.../i`. Used by porting, freezing, tables, export.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

FIRST, REST = "first", "rest"


def flatten(tree: Mapping[str, Any]) -> dict[str, Any]:
    """Returns {"encoder/stage1/rest/reduce/kernel": leaf}: the dict `tree` with its keys joined, sorted."""
    return dict(_leaves(tree, ""))


def nest(flat: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the inverse of `flatten`."""
    tree: dict[str, Any] = {}
    for path, leaf in flat.items():
        *parents, name = path.split("/")
        node = tree
        for parent in parents:
            node = node.setdefault(parent, {})
        node[name] = leaf
    return tree


def unstack(tree: Mapping[str, Any]) -> dict[str, Any]:
    """Returns {"encoder/stage1/0/reduce/kernel": array}: one entry a block of a model's pure dict `tree`.

    Blocks are in order, 2 before 10. Slices of numpy arrays are views.
    """
    flat: dict[str, Any] = {}
    for path, leaf in flatten(tree).items():
        parts = path.split("/")
        if FIRST in parts:
            flat[_replaced(parts, FIRST, "0")] = leaf
        elif REST in parts:
            for index in range(len(leaf)):
                flat[_replaced(parts, REST, str(index + 1))] = leaf[index]
        else:
            flat[path] = leaf
    return {path: flat[path] for path in sorted(flat, key=_order)}


def stack(flat: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the nested dict with stacked blocks (numpy arrays) that `unstack` came from: its exact inverse.

    Raises:
        ValueError: when a block is missing between others, or blocks have entries of different shapes.
    """
    plain: dict[str, Any] = {}
    blocks: dict[str, dict[int, Any]] = {}
    for path, leaf in flat.items():
        parts = path.split("/")
        number = next((part for part in parts if part.isdigit()), None)
        if number is None:
            plain[path] = leaf
        elif number == "0":
            plain[_replaced(parts, number, FIRST)] = leaf
        else:
            blocks.setdefault(_replaced(parts, number, REST), {})[int(number)] = leaf
    for path, leaves in blocks.items():
        numbers = sorted(leaves)
        if numbers != list(range(1, len(numbers) + 1)):
            raise ValueError(f"{path}: blocks {numbers} are not 1 to {len(numbers)} without a gap")
        plain[path] = np.stack([np.asarray(leaves[number]) for number in numbers])
    return nest(plain)


def _replaced(parts: list[str], old: str, new: str) -> str:
    return "/".join(new if part == old else part for part in parts)


def _leaves(node: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for name in sorted(node):
        path = f"{prefix}{name}"
        if isinstance(node[name], Mapping):
            yield from _leaves(node[name], f"{path}/")
        else:
            yield path, node[name]


def _order(path: str) -> list[tuple[int, int | str]]:
    return [(0, int(part)) if part.isdigit() else (1, part) for part in path.split("/")]
