"""The constructor arguments of a network: checked, kept, and given back as JSON values for its card."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax

from vos3d_jax.errors import UserError

DTYPES = ("float32", "bfloat16", "float64")
Frozen = tuple[tuple[str, Any], ...]
# What the `locals()` of a constructor hold besides: no part of a card.
_OTHERS = ("self", "rng", "__class__")


def freeze(arguments: Mapping[str, Any]) -> Frozen:
    """Returns the arguments as a hashable value, which a module can keep as static data.

    `arguments` may be the `locals()` of a constructor that has no variables of its own yet.
    """
    return tuple(
        (name, value if isinstance(value, str) or not isinstance(value, Sequence) else tuple(value))
        for name, value in arguments.items()
        if name not in _OTHERS
    )


def thaw(frozen: Frozen) -> dict[str, Any]:
    """Returns the arguments as JSON values: lists for tuples."""
    return {name: list(value) if isinstance(value, tuple) else value for name, value in frozen}


def check(system: str, arguments: Mapping[str, Any], choices: Mapping[str, Sequence[Any]]) -> None:
    """Refuses values that no network can have.

    Args:
        system: its name, for the message.
        arguments: all of the constructor's.
        choices: {argument: allowed values}. Beside these, what has a name that all networks share is
            checked by its meaning: counts, numbers per colour, constants of batch norm, dtype.

    Raises:
        UserError: names the argument, its value, and what it may be.
    """
    choices = {"dtype": DTYPES, "remat": (False, True), "implementation": ("auto", "lax"), **choices}
    for name, allowed in choices.items():
        # By type too: 1 is equal to True, and a list cannot be compared with "in" safely.
        if not any(arguments[name] == value and type(arguments[name]) is type(value) for value in allowed):
            values = ", ".join(map(str, allowed))
            raise UserError(f"{system} has no {name}={arguments[name]!r}: choose from {values}")
    for name, value in arguments.items():
        count = isinstance(value, int) and not isinstance(value, bool)
        if name in ("width", "decoder_width", "classes") and not (count and value >= 1):
            raise UserError(f"{system} needs a whole number above 0 as {name}, not {value!r}")
        if name == "stem_time_padding" and not (count and value >= 0):
            raise UserError(f"{system} needs a whole number from 0 as {name}, not {value!r}")
        if name in ("mean", "std") and not _three_numbers(value, nonzero=name == "std"):
            raise UserError(f"{system} needs three numbers as {name} (red, green, blue), not {value!r}")
        if name == "epsilon" and not (_number(value) and value > 0):
            raise UserError(f"{system} needs a number above 0 as epsilon, not {value!r}")
        if name == "momentum" and not (_number(value) and 0 <= value <= 1):
            raise UserError(f"{system} needs a number from 0 to 1 as momentum, not {value!r}")
    if arguments["dtype"] == "float64" and not jax.config.jax_enable_x64:
        raise UserError("dtype='float64' needs 64-bit mode: set JAX_ENABLE_X64=1, or use float32")


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _three_numbers(value: Any, nonzero: bool) -> bool:
    if isinstance(value, str) or not isinstance(value, Sequence) or len(value) != 3:
        return False
    return all(_number(number) and (number != 0 or not nonzero) for number in value)
