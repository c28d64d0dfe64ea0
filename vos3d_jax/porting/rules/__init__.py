"""Which tensor of a published file is which of ours: one table per source, read both ways.

Ours are the unstacked paths of `models.stacking.unstack` ("encoder/stage1/0/reduce/kernel"). Every source
stores the same arrays, only names differ.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Shaped

from vos3d_jax.porting.rules.sources import SOURCES, WeightSource, source_of

__all__ = ["SOURCES", "WeightSource", "from_torch", "source_of", "to_torch", "torch_names", "torch_shape"]

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
    paths: Iterable[str], source: str, arguments: Mapping[str, Any] | None = None, *, strict: bool = True
) -> dict[str, str]:
    """Returns {our path: name in the files of `source`}, in the order of `paths`.

    Args:
        paths: unstacked paths of one network, or of some of its modules.
        source: a key of `SOURCES`.
        arguments: of the network (backbone, separation, bridge, refinement, classes): say which tables hold.
            What is missing is the published choice; the separation shows in the paths.
        strict: False leaves out paths that this kind of file has no tensor for.

    Raises:
        KeyError: for such a path.
    """
    paths = list(paths)
    arguments = dict(arguments or {})
    if any("/mix/" in path for path in paths):
        arguments["separation"] = "ip"
    table = SOURCES[source].table(arguments)
    blocks = _blocks(paths)
    leaves = _CAFFE2_LEAVES if source.startswith("caffe2") else _TORCH_LEAVES
    names = {path: _name(path, table, leaves, blocks, arguments.get("classes")) for path in paths}
    if strict and None in names.values():
        raise KeyError(next(path for path, name in names.items() if name is None))
    return {path: name for path, name in names.items() if name is not None}


def to_torch(
    path: str, array: Shaped[np.ndarray, "..."], *, planar: bool = False
) -> Shaped[np.ndarray, "..."]:
    """Returns our array with PyTorch's axes: convolutions [o, i, t, h, w], linear layers [o, i].

    A transposed convolution is [i, o, t, h, w] there. Where a source is `planar` (of images), a convolution
    with one tap in time is [o, i, h, w].
    """
    array = np.moveaxis(array, _channels(path), (0, 1)) if path.endswith("/kernel") else array
    return array[:, :, 0] if planar and _is_planar(array.shape) else array


def torch_shape(path: str, shape: Sequence[int], *, planar: bool = False) -> tuple[int, ...]:
    """Returns the shape that `to_torch` gives an array of `shape`."""
    if path.endswith("/kernel"):
        shape = (*(shape[axis] for axis in _channels(path)), *shape[:-2])
    return (*shape[:2], *shape[3:]) if planar and _is_planar(shape) else tuple(shape)


def from_torch(path: str, array: Shaped[np.ndarray, "..."]) -> Shaped[np.ndarray, "..."]:
    """Returns the inverse of `to_torch`: convolutions [t, h, w, i, o], images with t = 1, linear [i, o]."""
    array = array[:, :, None] if array.ndim == 4 else array
    return np.moveaxis(array, (0, 1), _channels(path)) if path.endswith("/kernel") else array


def _channels(path: str) -> tuple[int, int]:
    """The axes of ours that are the first and second of PyTorch's."""
    return (-2, -1) if path.endswith(_TRANSPOSED) else (-1, -2)


def _is_planar(shape: Sequence[int]) -> bool:
    return len(shape) == 5 and shape[2] == 1


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
) -> str | None:
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
        _, name = table.get(module.removesuffix("/norm"), (None, None))
    return None if name is None else name.format(**values) + leaves[leaf]
