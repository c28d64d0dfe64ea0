"""Plain values of configs, flags and cards into frozen data classes, checked by the types of their fields."""

import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from typing import Any

from vos3d_jax.errors import UserError, nearest

# What a field of a simple type takes, and how an error calls it. True is no number.
_SIMPLE = {
    float: ((int, float), "a number"),
    int: ((int,), "a whole number"),
    str: ((str,), "a string"),
    bool: ((bool,), "True or False"),
}


def keys(kind: type, values: Any, where: str) -> dict[str, tuple[Any, Field]]:
    """Returns what a mapping of the data class `kind` may hold: key -> (type, field).

    These are the names of its fields; but one whose metadata has `rows`, name -> data class, stands for the
    fields of that row which the key `named_by` of `values` names.

    Raises:
        UserError: there is no such row.
    """
    hints, known = typing.get_type_hints(kind), {}
    for item in fields(kind):
        if "rows" in item.metadata:
            known |= keys(_row(kind, item, values, where), {}, where)
        else:
            known[item.name] = hints[item.name], item
    return known


def parse(values: Mapping[str, Any], kind: type, where: str) -> Any:
    """Returns the data class `kind` made of plain `values` (dicts, tuples, numbers, strings).

    Raises:
        UserError: an unknown or missing key, or a value of another type; it names the key by its path, which
            begins with `where`.
    """
    known = keys(kind, values, where)
    for key in values:
        if key not in known:
            hint = nearest(key, known) or f"known are {', '.join(known)}"
            raise UserError(f"{where}.{key} is not a known key: {hint}")
    for key, (_, item) in known.items():
        if item.default is MISSING and item.default_factory is MISSING and key not in values:
            raise UserError(f"{where}.{key} is missing: set it")
    made = {key: _convert(value, known[key][0], f"{where}.{key}") for key, value in values.items()}
    for item in (one for one in fields(kind) if "rows" in one.metadata):
        row = _row(kind, item, values, where)
        made[item.name] = row(**{one.name: made.pop(one.name) for one in fields(row) if one.name in made})
    return kind(**made)


def _row(kind: type, item: Field, values: Any, where: str) -> type:
    rows, key = item.metadata["rows"], item.metadata["named_by"]
    name = values.get(key, getattr(kind, key))
    if name not in list(rows):
        raise UserError(f"{where}.{key} is {name!r}: expected one of {', '.join(map(repr, rows))}")
    return rows[name]


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yields the values within nested JSON values, each with its path as an override names it."""
    if isinstance(value, Mapping) and value:
        for key, item in value.items():
            yield from leaves(item, f"{path}.{key}" if path else key)
    elif isinstance(value, list) and any(isinstance(item, Mapping | list) for item in value):
        for index, item in enumerate(value):
            yield from leaves(item, f"{path}[{index}]")
    else:
        yield path, value


def _convert(value: Any, hint: Any, where: str) -> Any:
    is_union = typing.get_origin(hint) in (types.UnionType, typing.Union)
    expected = []
    for one in typing.get_args(hint) if is_union else (hint,):
        origin, arguments = typing.get_origin(one), typing.get_args(one)
        if one is types.NoneType:
            if value is None:
                return None
        elif is_dataclass(one):
            if isinstance(value, Mapping):
                return parse(value, one, where)
            expected.append("a ConfigDict")
        elif origin is typing.Literal:
            if value in arguments:
                return value
            expected.append("one of " * (len(arguments) > 1) + ", ".join(map(repr, arguments)))
        elif origin is tuple:
            of_any_length = len(arguments) == 2 and arguments[1] is Ellipsis
            if isinstance(value, tuple | list) and (of_any_length or len(value) == len(arguments)):
                inner = [arguments[0]] * len(value) if of_any_length else arguments
                pairs = enumerate(zip(value, inner, strict=True))
                return tuple(_convert(item, hint, f"{where}[{place}]") for place, (item, hint) in pairs)
            expected.append("a tuple" if of_any_length else f"a tuple of {len(arguments)}")
        elif one in _SIMPLE:
            kinds, words = _SIMPLE[one]
            if isinstance(value, kinds) and (one is bool or not isinstance(value, bool)):
                return one(value)
            expected.append(words)
        else:
            if isinstance(value, Mapping):
                return dict(value)
            expected.append("a ConfigDict")
    raise UserError(f"{where} is {value!r}: expected {' or '.join(expected)}")
