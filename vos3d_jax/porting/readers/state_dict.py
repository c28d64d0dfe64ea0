"""Finds the weights in what a checkpoint holds: wrappers are opened, the prefix of a wrapper is taken off.

Every dict is looked at once and only so many are, so that the shape of the whole (which may describe 2^40
leaves in a few bytes) does not matter.
"""

import re
from collections.abc import Mapping
from typing import Any

from vos3d_jax.errors import UserError
from vos3d_jax.porting.readers.file_bytes import FileBytes, listed, printable
from vos3d_jax.porting.readers.lazy import Checkpoint, LazyTensor
from vos3d_jax.porting.rules.sources import Shapes, source_of

WRAPPERS = (
    "state_dict", "model", "model_state", "model_state_dict", "net", "network", "params", "blobs", "module",
)  # fmt: skip
# What programs put before every name: DataParallel, torch.compile, Lightning, Accelerate, ...
_PREFIXES = re.compile(r"(?:(?:module|_orig_mod|model|net|network|_forward_module)\.){1,8}(?=.)")
_MOST_PREFIXES = 64  # that are tried, each against all names
_WEIGHT = ("weight", "_w")  # how the names of some tensors of every network end
_DEPTH = 3
_MOST_DICTS = 1000  # that are looked at for other weights
_MOST_ROOTS = 5
_MOST_TENSORS = 100_000
_LONGEST_NAME = 1024  # as in a pickle, where longer texts are never looked into


def checkpoint(file: FileBytes, reader: Any, root: str | None) -> Checkpoint:
    """Returns the checkpoint that `reader` (one of the containers' classes) holds.

    Args:
        file: that is read.
        reader: has `value`, `types` (classes of tensors in it), `tensor`, `container`, `placeholders`.
        root: the wrapper to take ("ema.module"); None finds it.

    Raises:
        UserError: there are no tensors, or some cannot be read; all problems are named.
    """
    path = printable(file.path)
    keys, mapping = _find(reader.value, reader.types, root, path)
    stored = {k: v for k, v in mapping.items() if isinstance(k, str) and isinstance(v, reader.types)}
    if len(stored) > _MOST_TENSORS:
        raise file.problem(f"holds {len(stored)} tensors, more than any published checkpoint: refused")
    tensors, problems = {}, []
    views: dict[tuple, LazyTensor] = {}
    for name, value in stored.items():
        tensor = _name_problem(name) or reader.tensor(value)
        if isinstance(tensor, LazyTensor):
            tensors[name] = views.setdefault(tensor.identity, tensor)  # aliases are one object
        else:
            problems.append(f"{printable(name)}: {printable(tensor, 200)}")
    if problems:
        more = f"; and {len(problems) - 5} more" if len(problems) > 5 else ""
        raise UserError(f"{path}: {'; '.join(problems[:5])}{more}")
    shapes = {name: tensor.shape for name, tensor in tensors.items()}
    prefix = _prefix(shapes)
    roots = [other for other in _roots(reader.value, reader.types) if other != ".".join(keys)]
    if source_of(_beginning(prefix, shapes)) is None:
        roots += _parts(shapes, keys)
    siblings = reader.value if keys else {}
    return Checkpoint(
        path=file.path,
        container=reader.container,
        tensors=_without(prefix, tensors),
        root=".".join(keys),
        prefix=prefix,
        roots=tuple(roots),
        siblings=tuple(printable(key) for key in siblings if key != keys[0]),
        others=tuple(printable(key) for key in mapping if key not in stored),
        placeholders=tuple(map(printable, reader.placeholders)),
        metadata=getattr(reader, "metadata", {}),
    )


def _name_problem(name: str) -> str | None:
    if len(name) > _LONGEST_NAME:
        return f"has a name of {len(name)} characters"
    return None if name.isprintable() else "has a name that is not printable"


def _find(value: object, types: tuple, root: str | None, path: str) -> tuple[tuple[str, ...], dict]:
    """The keys that lead to the state dict, and it."""
    start = [((), value)] if root is None else _under(value, root)
    candidates = [one for keys, inner in start for one in _candidates(inner, keys)]
    for ending in (_WEIGHT, ""):  # some files hold tensors of other names only
        for keys, mapping in candidates:
            if _holds(mapping, types, ending):
                return keys, mapping
    top = f"top-level keys: {listed(list(value))}" if isinstance(value, dict) and value else _kind(value)
    where = "" if root is None else f" under {printable(root)}"
    roots = _roots(value, types)
    mend = f"; give --root={' or --root='.join(roots)}" if roots else ""
    raise UserError(f"{path}: no tensors found{where}; {top}{mend}")


def _candidates(value: object, keys: tuple[str, ...]) -> list[tuple[tuple[str, ...], dict]]:
    """Mappings that may be the state dict, each once, the outer ones first."""
    candidates: list[tuple[tuple[str, ...], dict]] = []
    visited: set[int] = set()
    level = [(keys, value)]
    for _ in range(_DEPTH):
        level = [(keys, mapping) for keys, mapping in level if isinstance(mapping, dict)]
        level = [item for item in level if id(item[1]) not in visited]
        visited.update(id(mapping) for _, mapping in level)
        candidates += level
        level = [
            ((*keys, key), mapping[key]) for keys, mapping in level for key in WRAPPERS if key in mapping
        ]
    return candidates


def _under(value: object, root: str) -> list[tuple[tuple[str, ...], object]]:
    """What lies under the path `root`; a key may hold dots itself, or be the beginning of flat names."""
    if not isinstance(value, dict):
        return []
    if root in value:
        return [((root,), value[root])]
    for dot in re.finditer(r"\.", root):
        for keys, inner in _under(value.get(root[: dot.start()]), root[dot.end() :]):
            return [((root[: dot.start()], *keys), inner)]
    flat = _beginning(f"{root}.", {k: v for k, v in value.items() if isinstance(k, str)})
    return [((root,), flat)] if flat else []


def _roots(value: object, types: tuple) -> list[str]:
    """Paths, outer ones first, under which weights lie and that can be given as `root`."""
    roots: list[str] = []
    level, visited = [("", value)], set()
    while level and len(visited) < _MOST_DICTS and len(roots) < _MOST_ROOTS:
        path, mapping = level.pop(0)
        if not isinstance(mapping, dict) or id(mapping) in visited:
            continue
        visited.add(id(mapping))
        if path and _holds(mapping, types):
            roots.append(path.removeprefix("."))
        inner = [(k, v) for k, v in mapping.items() if isinstance(k, str) and isinstance(v, dict)]
        if path.count(".") < _DEPTH:
            level += [(f"{path}.{k}", v) for k, v in inner[:_MOST_DICTS] if k.isprintable() and len(k) < 40]
    return roots


def _parts(shapes: Shapes, root: tuple[str, ...]) -> list[str]:
    """Paths of the parts of a larger network (a teacher, a generator) that are networks known here."""
    heads = {name[: dot.start()] for name in shapes for dot in list(re.finditer(r"\.", name))[:2]}
    tried = sorted(heads, key=lambda head: (head.count("."), head))[:_MOST_PREFIXES]
    parts = [head for head in tried if source_of(_beginning(f"{head}.", shapes))]
    return [".".join((*root, part)) for part in parts[:_MOST_ROOTS]]


def _holds(mapping: dict, types: tuple, ending: str | tuple[str, ...] = _WEIGHT) -> bool:
    return any(isinstance(k, str) and k.endswith(ending) and isinstance(v, types) for k, v in mapping.items())


def _prefix(shapes: Shapes) -> str:
    """What programs put before the names: as much as makes a known network of them, else what all share.

    A counter or a loss beside the network may lack it: the names that begin with it are enough.
    """
    stacks = {match[0] for name in shapes if (match := _PREFIXES.match(name))}
    prefixes = {stack[: dot.end()] for stack in stacks for dot in re.finditer(r"\.", stack)}
    tried = sorted(prefixes, key=lambda prefix: (prefix.count("."), prefix))[:_MOST_PREFIXES]
    for prefix in ("", *tried):
        if source_of(_beginning(prefix, shapes)):
            return prefix
    return next((one for one in reversed(tried) if all(name.startswith(one) for name in shapes)), "")


def _beginning(prefix: str, named: Mapping[str, Any]) -> dict[str, Any]:
    """The values whose names begin with the prefix, without it."""
    return {name[len(prefix) :]: value for name, value in named.items() if name.startswith(prefix)}


def _without(prefix: str, named: dict[str, Any]) -> dict[str, Any]:
    """The same values, without the prefix where a name has it; no name comes twice."""
    return {
        (k.removeprefix(prefix) if k.removeprefix(prefix) not in named else k): v for k, v in named.items()
    }


def _kind(value: object) -> str:
    names = {dict: "an empty dict", list: "a list", tuple: "a tuple"}
    return f"it holds {names.get(type(value), 'something else')}, not a dict of tensors by name"
