"""Published results of other methods, each with its source and protocol, to stand beside our own.

The facts are in published.json: the DAVIS-2016 toolkit's table of 21 techniques, the tables of the three
papers, and what is printed there of others. A table stands in one column with our figures only at the
benchmarks whose protocol it follows; elsewhere it is context, and says that it is not comparable.
"""

import json
from dataclasses import dataclass
from functools import cache
from importlib import resources


@dataclass(frozen=True)
class Method:
    """One method of a published table.

    Attributes:
        name: what the table calls it.
        hint: what it is given: "none", "first mask", ...
        values: one a figure of the table, in our units (0..1; JumpCut's error in percent); None: not printed.
    """

    name: str
    hint: str
    values: tuple[float | None, ...]


@dataclass(frozen=True)
class Table:
    """Published figures with one source and one protocol.

    Attributes:
        title: whose results they are.
        source: where they are printed.
        protocol: how they were scored, as far as it is known.
        note: what else a reader should know; or "".
        same_protocol: our benchmarks whose figures may stand in one column with these.
        beside: our benchmarks at which they are context only.
        figures: names as in `Scores.figures` where the measure is the same.
        methods: one a row.
    """

    title: str
    source: str
    protocol: str
    note: str
    same_protocol: tuple[str, ...]
    beside: tuple[str, ...]
    figures: tuple[str, ...]
    methods: tuple[Method, ...]


@cache
def tables() -> tuple[Table, ...]:
    """Returns all published tables."""
    stored = json.loads((resources.files(__package__) / "published.json").read_text("utf-8"))
    return tuple(_table(**entry) for entry in stored)


def comparable(benchmark: str) -> list[Table]:
    """Returns the tables whose figures follow the protocol of `benchmark`."""
    return [table for table in tables() if benchmark in table.same_protocol]


def context(benchmark: str) -> list[Table]:
    """Returns the tables of the same data as `benchmark` that follow another or an unknown protocol."""
    return [table for table in tables() if benchmark in table.beside]


def _table(rows: list, note: str = "", **facts) -> Table:
    methods = tuple(Method(name, hint, tuple(values)) for name, hint, *values in rows)
    facts = {name: tuple(fact) if isinstance(fact, list) else fact for name, fact in facts.items()}
    return Table(**facts, note=note, methods=methods)
