"""The command line, alike in every command: dashes or underscores, and a mistake is one line."""

import argparse
import difflib
import itertools
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from vos3d_jax.errors import UserError


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
        self.refuse([flag for flag in flags if self._name(flag) not in self._names()])
        options, rest = self.parse_known_args(args, namespace)
        self.refuse(rest)
        return options

    def parse_known_args(self, args, namespace=None):
        """As the original, with dashes and underscores alike in the names of flags."""
        return super().parse_known_args([*map(self._spelt, args)], namespace)

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
            near = difflib.get_close_matches(str(value), action.choices, n=1)
            mend = f": did you mean {near[0]}?" if near else ""
            raise argparse.ArgumentError(action, f"{value!r} is none of {', '.join(action.choices)}{mend}")

    def _spelt(self, argument: str) -> str:
        if not argument.startswith("--"):
            return argument
        name, equals, value = argument.partition("=")
        flag = self._names().get(self._name(name))
        return f"{flag}{equals}{value}" if flag in self._option_string_actions else argument

    @staticmethod
    def _name(argument: str) -> str:
        return argument.partition("=")[0].replace("-", "_")

    def _names(self) -> dict[str, str]:
        """The flags of this parser and of its sub-commands, by their names with underscores alone."""
        parsers = [self]
        for action in self._actions:
            if isinstance(action, argparse._SubParsersAction):
                parsers += action.choices.values()
        flags = (flag for parser in parsers for flag in parser._option_string_actions)
        return {flag.replace("-", "_"): flag for flag in flags if flag.startswith("--")}


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
