"""What the command prints: the plan of a file, the result of a conversion, a comparison.

The plan of a file is printed without jax, which `compare` needs.
"""

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from vos3d_jax.porting import plan
from vos3d_jax.porting.plan import Plan, Row
from vos3d_jax.porting.readers import Checkpoint
from vos3d_jax.porting.readers.file_bytes import listed, printable
from vos3d_jax.porting.rules.sources import SOURCES

_FILE_WIDTH = 200
_LISTED = 20  # names in a line
_HIDDEN = ("mean", "std", "epsilon")
_LISTING = (*plan.PROBLEMS, plan.USED, plan.ALIAS, plan.CONSTANT, plan.RANDOM, plan.UNUSED)


def print_plan(checkpoint: Checkpoint, found: Plan, *, all_rows: bool = False) -> None:
    """Prints what the file is, what it becomes, and its tensors: all, or groups and every problem."""
    console = _console()
    source = SOURCES[found.recognised.source]
    facts = Table(box=None, show_header=False, pad_edge=False)
    where = " in ".join(filter(None, (checkpoint.root, checkpoint.container)))
    prefix = f", prefix {checkpoint.prefix!r} taken off" if checkpoint.prefix else ""
    facts.add_row("file", escape(printable(checkpoint.path)))
    facts.add_row("container", escape(f"{where}{prefix}"))
    facts.add_row("holds", escape(source.title))
    facts.add_row("becomes", escape(f"{found.system} ({_arguments(found)})"))
    origin = "input constants from the file" if found.count(plan.CONSTANT) else "not shown by a state dict"
    facts.add_row("constants", escape(f"{_constants(found)} ({origin})"))
    facts.add_row("licence", escape(source.licence_note))
    if checkpoint.roots:
        facts.add_row("other weights", escape(", ".join(f"--root={root}" for root in checkpoint.roots)))
    beside = (*checkpoint.siblings, *checkpoint.others)
    for label, values in (("also in the file", beside), ("skipped", checkpoint.placeholders)):
        if values:
            facts.add_row(label, escape(listed(values, _LISTED)))
    console.print(facts)
    table = Table("status", "tensors", "why", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for status, note, rows in _groups(found.rows):
        table.add_row(status, str(len(rows)), escape(note))
    console.print(table)
    named = [row for row in found.rows if all_rows or row.status in plan.PROBLEMS]
    if named:
        console.print(_rows(sorted(named, key=lambda row: _LISTING.index(row.status))))


def print_converted(found: Plan, folder: str) -> None:
    """Prints what `folder` holds now, and the command that takes it."""
    from vos3d_jax.models import SYSTEMS

    counts = ", ".join(f"{number} {status}" for status, number in found.counts().items())
    print(f"{found.recognised.title} -> {found.system} ({_arguments(found)})")
    print(f"tensors: {counts}")
    if found.random:
        parts = ", ".join(_modules(found.random))
        print(f"random weights, not in the file: {len(found.random)} tensors of {parts}")
    print(f"model: {folder}")
    given = shlex.quote(folder)
    if SYSTEMS[found.system].segments and not found.random:
        print(f"next: vos3d segment --checkpoint={given} --input=clip.mp4 --output=masks")
    else:  # what it lacks for masks, training gives it
        print(f"next: vos3d main --config=davis.py --config.init_from={given} --workdir=run")


def print_comparison(rows: Sequence[Any], other: Mapping[str, tuple[Any, Any]]) -> None:
    """Prints how many tensors are equal, and each one that is not.

    Args:
      rows: those of `compare.compare`.
      other: {argument: (ours, theirs)}, those of `compare.other_settings`.
    """
    from vos3d_jax.porting import compare

    table = Table("ours", "in the file", "status", "largest difference", box=None, pad_edge=False)
    for row in rows:
        if row.status in (compare.DIFFERENT, compare.SHAPE):
            table.add_row(escape(row.path), escape(row.name), row.status, f"{row.difference:.3e}")
    if table.row_count:
        _console().print(table)
    count = {
        status: sum(row.status == status for row in rows) for status in dict.fromkeys(r.status for r in rows)
    }
    print(", ".join(f"{number} tensors {status}" for status, number in count.items()))
    only = [row.path for row in rows if row.status == compare.ONLY_MODEL]
    if only:
        print(f"only in the model: {', '.join(_modules(only))}")
    left = [row.name for row in rows if row.status == compare.ONLY_FILE]
    if left:
        print(f"only in the file: {listed(left, _LISTED)}")
    if other:
        values = ", ".join(f"{name}={ours} (the file's: {theirs})" for name, (ours, theirs) in other.items())
        print(f"not the function that the file becomes without --set: {values}")


def _console() -> Console:
    """The terminal; names are not cut where the output goes elsewhere."""
    console = Console()
    return console if console.is_terminal else Console(width=_FILE_WIDTH)


def _rows(rows: Sequence[Row]) -> Table:
    table = Table("status", "name in the file", "ours", "shape", "expected", "note", box=None, pad_edge=False)
    for column in table.columns:
        column.overflow = "fold"
    for row in rows:
        shapes = ["" if shape is None else str(list(shape)) for shape in (row.shape, row.expected)]
        status = f"{row.status}, allowed" if row.allowed else row.status
        table.add_row(status, *map(escape, (printable(row.name), row.path, *shapes, row.note)))
    return table


def _groups(rows: Sequence[Row]) -> list[tuple[str, str, list[Row]]]:
    """(status, why, rows), in the order of `plan.STATUSES`; what names another tensor is one group."""
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        own = row.status in (plan.UNUSED, plan.RANDOM, plan.CONSTANT)
        note = row.note if own else {plan.ALIAS: "another name of a tensor above"}.get(row.status, "")
        groups.setdefault((row.status, note), []).append(row)
    order = sorted(groups, key=lambda key: plan.STATUSES.index(key[0]))
    return [(status, note, groups[status, note]) for status, note in order]


def _arguments(found: Plan) -> str:
    return ", ".join(f"{k}={v}" for k, v in found.arguments.items() if k not in _HIDDEN)


def _constants(found: Plan) -> str:
    return ", ".join(f"{k}={_plain(found.arguments[k])}" for k in _HIDDEN if k in found.arguments)


def _plain(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value


def _modules(paths: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(path.split("/")[0] for path in paths))
