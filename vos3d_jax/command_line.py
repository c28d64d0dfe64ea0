"""The command line, alike in every command: dashes or underscores, and a mistake is one line."""

import argparse
import difflib
import itertools
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from vos3d_jax.errors import UserError, nearest


def step(text: str) -> int | str:
    """Returns what a flag `--step` means: a number of steps, or "best"; ValueError for anything else."""
    return text if text == "best" else int(text)


# Flags of several commands, as `add_argument` takes them.
OVERWRITE = {"action": "store_true", "help": "replace results of something else that are there already"}
STEP = {"type": step, "metavar": "N|best", "help": "which checkpoint of it (default: the latest)"}


class Parser(argparse.ArgumentParser):
    """An `ArgumentParser` that takes `--short-edge` for `--short_edge`, and asks "did you mean".

    Its help keeps the line breaks of examples, flags are not abbreviated, and an error is one line.
    """

    def __init__(self, *arguments, **options):
        options.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        super().__init__(*arguments, allow_abbrev=False, **options)

    def parse_args(self, args=None, namespace=None):
        """As the original; an unknown flag is named with the nearest that there is."""
        args = sys.argv[1:] if args is None else args
        # Before a flag that is required is missed: it may be the one that is misspelt.
        flags = (one for one in itertools.takewhile(lambda one: one != "--", args) if one.startswith("--"))
        self.refuse([flag for flag in flags if flag.partition("=")[0].replace("-", "_") not in self._names()])
        options, rest = self.parse_known_args(args, namespace)
        self.refuse(rest)
        return options

    def parse_known_args(self, args=None, namespace=None):
        """As the original, with dashes and underscores alike in the names of flags."""
        for flag, action in list(self._option_string_actions.items()):
            for one, other in ("_-", "-_"):
                if flag.startswith("--"):
                    self._option_string_actions.setdefault(f"--{flag[2:].replace(one, other)}", action)
        return super().parse_known_args(args, namespace)

    def refuse(self, unknown: Sequence[str]) -> None:
        """Ends the command with status 2 if there are arguments that no flag takes."""
        if unknown:
            kind = "flag" if unknown[0].startswith("-") else "argument"
            name, dot, key = unknown[0].partition("=")[0].partition(".")
            near = difflib.get_close_matches(name.replace("-", "_"), self._names(), n=1)
            mend = f": did you mean {self._names()[near[0]]}{dot}{key}?" if near else ""
            self.error(f"unknown {kind} {unknown[0]}{mend}")

    def error(self, message: str) -> NoReturn:
        """Ends the command with status 2 and one line."""
        mend = "" if message.endswith("?") else f" ({self.prog} --help explains)"
        self.exit(2, f"{self.prog}: error: {message}{mend}\n")

    def _check_value(self, action, value):
        if action.choices is not None and value not in action.choices:
            mend = (near := nearest(str(value), action.choices)) and f": {near}"
            raise argparse.ArgumentError(action, f"{value!r} is none of {', '.join(action.choices)}{mend}")

    def _names(self) -> dict[str, str]:
        """The flags of this parser and of its sub-commands, by their names with underscores alone."""
        parsers = [self]
        for action in self._actions:
            if isinstance(action, argparse._SubParsersAction):
                parsers += action.choices.values()
        # The other spellings stand last.
        flags = reversed([flag for parser in parsers for flag in parser._option_string_actions])
        return {flag.replace("-", "_"): flag for flag in flags if flag.startswith("--")}


def named_values(flag: str, given: Sequence[str]) -> dict[str, Any]:
    """Returns what several of `FLAG=NAME=VALUE` stand for: JSON values, and text where a value is none.

    Raises:
        UserError: one is not of that form.
    """
    values = {}
    for one in given:
        name, equals, value = one.partition("=")
        if not equals:
            raise UserError(f"{flag}={one} has no value: give {flag}=NAME=VALUE")
        try:
            values[name] = json.loads(value)
        except ValueError:
            values[name] = value
    return values


def require_path(path: str | Path, expected: str) -> None:
    """Returns if there is something at `path`; for commands, before they import what takes seconds.

    Raises:
        UserError: there is nothing; the nearest name beside it is told.
    """
    path = Path(path)
    try:
        if path.exists():
            return
        names = [entry.name for entry in path.absolute().parent.iterdir()]
    except (OSError, ValueError):  # no such folder either, no right to look, or no possible name
        names = []
    near = difflib.get_close_matches(path.name, names, n=1)
    mend = f"; did you mean {path.with_name(near[0])}?" if near else ""
    raise UserError(f"{path} does not exist: give {expected}{mend}")
