"""Which tensor of a published file is which of ours: one table per source, read both ways.

Ours are the unstacked paths of `models.stacking.unstack` ("encoder/stage1/0/reduce/kernel"). Every source
stores the same arrays, only names differ.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Shaped

from vos3d_jax.porting.rules.sources import SOURCES, WeightSource

__all__ = ["SOURCES", "WeightSource", "from_torch", "to_torch", "torch_names", "torch_shape"]

_TORCH_LEAVES = {
    "kernel": ".weight",
    "scale": ".weight",
    "bias": ".bias",
    "mean": ".running_mean",
    "var": ".running_var",
}
_TRANSPOSED = "/upsample/kernel"
# Caffe2's "running inverse variance" holds the variance itself.
_CAFFE2_LEAVES = {"kernel": "_w", "scale": "_s", "bias": "_b", "mean": "_rm", "var": "_riv"}


def torch_names(
    paths: Iterable[str], source: str, arguments: Mapping[str, Any] | None = None
) -> dict[str, str]:
    """{our path: name in the files of `source`}, in the order of `paths`.

    Args:
      paths: unstacked paths of one network, or of some of its modules.
      source: a key of `SOURCES`.
      arguments: of the network (backbone, separation, bridge, refinement, classes): say which tables hold.
        What is missing is the published choice; the separation shows in the paths.

    Raises:
        KeyError: for a path that this kind of file has no tensor for.
    """
    paths = list(paths)
    arguments = dict(arguments or {})
    if any("/mix/" in path for path in paths):
        arguments["separation"] = "ip"
    table = SOURCES[source].table(arguments)
    blocks = _blocks(paths)
    leaves = _CAFFE2_LEAVES if source.startswith("caffe2") else _TORCH_LEAVES
    return {path: _name(path, table, leaves, blocks, arguments.get("classes")) for path in paths}


def to_torch(path: str, array: Shaped[np.ndarray, "..."]) -> Shaped[np.ndarray, "..."]:
    """Our array with PyTorch's axes: convolutions [o, i, t, h, w] or [o, i, h, w], linear layers [o, i].

    A transposed convolution is [i, o, t, h, w] there.
    """
    return array.transpose(_torch_axes(path, array.ndim))


def torch_shape(path: str, shape: Sequence[int]) -> tuple[int, ...]:
    """The shape that `to_torch` gives an array of `shape`."""
    return tuple(shape[axis] for axis in _torch_axes(path, len(shape)))


def from_torch(path: str, array: Shaped[np.ndarray, "..."]) -> Shaped[np.ndarray, "..."]:
    """The inverse of `to_torch`: convolutions [t, h, w, i, o] or [h, w, i, o], linear layers [i, o]."""
    if not path.endswith("/kernel"):
        return array
    channels = (0, 1) if path.endswith(_TRANSPOSED) else (1, 0)
    return array.transpose(*range(2, array.ndim), *channels)


def _torch_axes(path: str, count: int) -> tuple[int, ...]:
    if not path.endswith("/kernel"):
        return tuple(range(count))
    channels = (count - 2, count - 1) if path.endswith(_TRANSPOSED) else (count - 1, count - 2)
    return (*channels, *range(count - 2))


def _blocks(paths: list[str]) -> dict[int, int]:
    """{stage: index in the network of its first block}."""
    count: dict[int, int] = {}
    for path in paths:
        if match := re.match(r"encoder/stage(\d)/(\d+)/", path):
            stage, block = map(int, match.groups())
            count[stage] = max(count.get(stage, 0), block + 1)
    first, starts = 0, {}
    for stage in sorted(count):
        starts[stage] = first
        first += count[stage]
    return starts


def _name(
    path: str, table: Mapping, leaves: Mapping[str, str], starts: Mapping[int, int], classes: int | None
) -> str:
    module, leaf = path.rsplit("/", 1)
    values: dict[str, Any] = {"classes": classes}
    if match := re.fullmatch(r"encoder/stage(\d)/(\d+)/(.+)", module):
        stage, block = int(match[1]), int(match[2])
        values.update(s=stage, k=stage + 1, b=block, g=starts[stage] + block)
        module = f"encoder/stage{{s}}/{{b}}/{match[3]}"
    elif match := re.fullmatch(r"refine(\d)/(.+)", module):
        values["n"] = match[1]
        module = f"refine{{n}}/{match[2]}"
    name = table[module][0] if module in table else None
    if name is None and module.endswith("/norm"):
        name = table[module.removesuffix("/norm")][1]
    if name is None:
        raise KeyError(path)
    return name.format(**values) + leaves[leaf]
