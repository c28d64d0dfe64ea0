"""Finds the weights in what a checkpoint holds: wrappers are opened, a common prefix is taken off.

Facts: checkpoint-formats.md, section 6. Only the wrappers' keys are followed, so that the shape of the
rest (which may describe 2^40 leaves in a few bytes) does not matter.
"""

from typing import Any

from vos3d_jax.errors import UserError
from vos3d_jax.porting.readers.lazy import Checkpoint, LazyTensor
from vos3d_jax.porting.readers.source import Source, listed, shown

WRAPPERS = ("state_dict", "model", "model_state", "model_state_dict", "net", "network", "params", "blobs")
_DEPTH = 3
_MOST_TENSORS = 100_000
_LONGEST_NAME = 1024  # as in a pickle, where longer texts are never looked into


def checkpoint(source: Source, reader: Any, root: str | None) -> Checkpoint:
    """Returns the checkpoint that `reader` (one of the containers' classes) holds.

    Args:
      source: the file.
      reader: has `value`, `types` (classes of tensors in it), `tensor`, `container`, `placeholders`.
      root: the wrapper to take ("state_dict_ema"); None finds it.

    Raises:
      UserError: there are no tensors, or some cannot be read; all problems are named.
    """
    path = shown(source.path)
    keys, mapping = _find(reader.value, reader.types, root, path)
    stored = {k: v for k, v in mapping.items() if isinstance(k, str) and isinstance(v, reader.types)}
    if len(stored) > _MOST_TENSORS:
        raise UserError(f"{path} holds {len(stored)} tensors, more than any published checkpoint: refused")
    tensors, problems = {}, []
    views: dict[tuple, LazyTensor] = {}
    for name, value in stored.items():
        found = _name_problem(name) or reader.tensor(value)
        if isinstance(found, LazyTensor):
            tensors[name] = views.setdefault(found.identity, found)  # aliases are one object
        else:
            problems.append(f"{shown(name)}: {shown(found, 200)}")
    if problems:
        more = f"; and {len(problems) - 5} more" if len(problems) > 5 else ""
        raise UserError(f"{path}: {'; '.join(problems[:5])}{more}")
    prefix = _prefix(list(tensors))
    siblings = reader.value if keys else {}
    return Checkpoint(
        path=source.path,
        container=reader.container,
        tensors={name[len(prefix) :]: tensor for name, tensor in tensors.items()},
        root=".".join(keys),
        prefix=prefix,
        siblings=tuple(shown(key) for key in siblings if key != keys[0]),
        others=tuple(shown(key) for key in mapping if key not in stored),
        placeholders=tuple(map(shown, reader.placeholders)),
        metadata=getattr(reader, "metadata", {}),
    )


def _name_problem(name: str) -> str | None:
    if len(name) > _LONGEST_NAME:
        return f"has a name of {len(name)} characters"
    return None if name.isprintable() else "has a name that is not printable"


def _find(value: object, types: tuple, root: str | None, path: str) -> tuple[tuple[str, ...], dict]:
    """The keys that lead to the state dict, and it."""
    candidates = _candidates(value) if root is None else _named(value, root)
    for is_state_dict in (_has_weight, _has_tensor):  # some files hold tensors of other names only
        for keys, mapping in candidates:
            if is_state_dict(mapping, types):
                return keys, mapping
    top = f"top-level keys: {listed(list(value))}" if isinstance(value, dict) and value else _kind(value)
    where = "" if root is None else f" under {shown(root)}"
    raise UserError(f"{path}: no tensors found{where}; {top}")


def _candidates(value: object) -> list[tuple[tuple[str, ...], dict]]:
    """Mappings that may be the state dict, each once, the outer ones first."""
    found: list[tuple[tuple[str, ...], dict]] = []
    visited: set[int] = set()
    level = [((), value)]
    for _ in range(_DEPTH):
        level = [(keys, mapping) for keys, mapping in level if isinstance(mapping, dict)]
        level = [item for item in level if id(item[1]) not in visited]
        visited.update(id(mapping) for _, mapping in level)
        found += level
        level = [
            ((*keys, key), mapping[key]) for keys, mapping in level for key in WRAPPERS if key in mapping
        ]
    return found


def _named(value: object, root: str) -> list[tuple[tuple[str, ...], dict]]:
    mapping = value.get(root) if isinstance(value, dict) else None
    return [((root,), mapping)] if isinstance(mapping, dict) else []


def _has_weight(mapping: dict, types: tuple) -> bool:
    return any(
        isinstance(k, str) and k.endswith(("weight", "_w")) and isinstance(v, types)
        for k, v in mapping.items()
    )


def _has_tensor(mapping: dict, types: tuple) -> bool:
    return any(isinstance(k, str) and isinstance(v, types) for k, v in mapping.items())


def _prefix(names: list[str], word: str = "module.") -> str:
    """What all names begin with, of the word that DataParallel puts in front, repeatedly."""
    prefix = ""
    while all(name.startswith(prefix + word) and len(name) > len(prefix + word) for name in names):
        prefix += word
    return prefix


def _kind(value: object) -> str:
    names = {dict: "an empty dict", list: "a list", tuple: "a tuple"}
    return f"it holds {names.get(type(value), 'something else')}, not a dict of tensors by name"
