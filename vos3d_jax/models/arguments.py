"""The constructor arguments of a network: checked, kept, and given back as JSON values for its card."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax

from vos3d_jax.errors import UserError

Static = tuple[tuple[str, Any], ...]


class Condition(NamedTuple):
    """What an argument may be: in words, and as a function that says whether a value is such."""

    words: str
    holds: Callable[[Any], bool]


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _three_numbers(value: Any) -> bool:
    listed = isinstance(value, Sequence) and not isinstance(value, str)
    return listed and len(value) == 3 and all(map(_number, value))


COUNT = Condition("a whole number above 0", lambda value: type(value) is int and value >= 1)
# Of what has a name that all networks share; of the others, where a network has them.
RULES: dict[str, Condition | Sequence[Any]] = {
    "width": COUNT,
    "decoder_width": COUNT,
    "classes": COUNT,
    "stem_time_padding": Condition("a whole number from 0", lambda value: type(value) is int and value >= 0),
    "mean": Condition("three numbers, of red, green and blue,", _three_numbers),
    "std": Condition(
        "three numbers other than 0, of red, green and blue,",
        lambda value: _three_numbers(value) and all(value),
    ),
    "epsilon": Condition("a number above 0", lambda value: _number(value) and value > 0),
    "momentum": Condition("a number from 0 to 1", lambda value: _number(value) and 0 <= value <= 1),
    "dtype": ("float32", "bfloat16", "float64"),
    "remat": (False, True),
    "implementation": ("auto", "lax"),
}


def to_static(scope: Mapping[str, Any]) -> Static:
    """Returns a constructor's arguments as a hashable value, which a module can keep as static data.

    `scope` are the `locals()` of the constructor, before it has variables of its own.
    """
    return tuple(
        (name, value if isinstance(value, str) or not isinstance(value, Sequence) else tuple(value))
        for name, value in scope.items()
        if name not in ("self", "rng", "__class__")
    )


def to_json(static: Static) -> dict[str, Any]:
    """Returns the arguments as JSON values: lists for tuples."""
    return {name: list(value) if isinstance(value, tuple) else value for name, value in static}


def check(
    system: str, arguments: Mapping[str, Any], rules: Mapping[str, Condition | Sequence[Any]] = RULES
) -> None:
    """Refuses values that no network can have.

    Args:
        system: its name, for the message.
        arguments: all of the constructor's.
        rules: {argument: a condition, or the values that it may have}; what a network lacks is passed over.

    Raises:
        UserError: names the argument, its value, and what it may be.
    """
    for name, rule in rules.items():
        if name not in arguments:
            continue
        value = arguments[name]
        if isinstance(rule, Condition):
            if not rule.holds(value):
                raise UserError(f"{system} needs {rule.words} as {name}, not {value!r}")
        # By type too: 1 is equal to True, and a list cannot be compared with "in" safely.
        elif not any(value == allowed and type(value) is type(allowed) for allowed in rule):
            values = ", ".join(map(str, rule))
            raise UserError(f"{system} has no {name}={value!r}: choose from {values}")
    if arguments["dtype"] == "float64" and not jax.config.jax_enable_x64:
        raise UserError("dtype='float64' needs 64-bit mode: set JAX_ENABLE_X64=1, or use float32")
