"""What the command prints: the plan of a file, the result of a conversion, a comparison.

The plan of a file is printed without jax, which `compare` needs.
"""

import collections
import shlex
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from vos3d_jax.porting import plan as plans
from vos3d_jax.porting.plan import Plan, TensorRow
from vos3d_jax.porting.readers import Checkpoint
from vos3d_jax.porting.readers.file_bytes import listed, printable
from vos3d_jax.porting.rules.sources import SOURCES

_FILE_WIDTH = 200
_LISTED = 20  # names in a line
_HIDDEN = ("mean", "std", "epsilon")
_LISTING = (*plans.PROBLEMS, plans.USED, plans.ALIAS, plans.CONSTANT, plans.RANDOM, plans.UNUSED)


def print_plan(checkpoint: Checkpoint, plan: Plan, *, all_rows: bool = False) -> None:
    """Prints what the file is, what it becomes, and its tensors: all, or groups and every problem."""
    source = SOURCES[plan.recognised.source]
    where = " in ".join(filter(None, (checkpoint.root, checkpoint.container)))
    prefix = f", prefix {checkpoint.prefix!r} taken off" if checkpoint.prefix else ""
    hidden = ", ".join(f"{k}={_plain(plan.arguments[k])}" for k in _HIDDEN if k in plan.arguments)
    held = plans.CONSTANT in plan.counts()
    origin = "input constants from the file" if held else "not shown by a state dict"
    facts = {
        "file": printable(checkpoint.path),
        "container": f"{where}{prefix}",
        "holds": source.title,
        "becomes": f"{plan.system} ({_arguments(plan)})",
        "constants": f"{hidden} ({origin})",
        "licence": source.licence_note,
        "other weights": ", ".join(f"--root={root}" for root in checkpoint.roots),
        "also in the file": listed((*checkpoint.siblings, *checkpoint.others), _LISTED),
        "skipped": listed(checkpoint.placeholders, _LISTED),
    }
    about = Table(box=None, show_header=False, pad_edge=False)
    for label, value in facts.items():
        if value:
            about.add_row(label, escape(value))
    groups = Table("status", "tensors", "why", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    counts = collections.Counter((row.status, _reason(row)) for row in plan.rows)
    for status, reason in sorted(counts, key=lambda group: plans.STATUSES.index(group[0])):
        groups.add_row(status, str(counts[status, reason]), escape(reason))
    console = _console()
    console.print(about)
    console.print(groups)
    named = [row for row in plan.rows if all_rows or row.status in plans.PROBLEMS]
    if named:
        console.print(_rows(sorted(named, key=lambda row: _LISTING.index(row.status))))


def print_converted(plan: Plan, folder: str) -> None:
    """Prints what `folder` holds now, and the command that takes it."""
    from vos3d_jax.models import SYSTEMS

    counts = ", ".join(f"{number} {status}" for status, number in plan.counts().items())
    print(f"{plan.recognised.title} -> {plan.system} ({_arguments(plan)})")
    print(f"tensors: {counts}")
    if plan.random:
        parts = ", ".join(_modules(plan.random))
        print(f"random weights, not in the file: {len(plan.random)} tensors of {parts}")
    print(f"model: {folder}")
    given = shlex.quote(folder)
    if SYSTEMS[plan.system].segments and not plan.random:
        print(f"next: vos3d segment --checkpoint={given} --input=clip.mp4 --output=masks")
    else:  # what it lacks for masks, training gives it
        print(f"next: vos3d main --config=davis.py --config.init_from={given} --workdir=run")


def print_comparison(comparison: Any) -> None:
    """Prints how many tensors of a `compare.Comparison` are equal, and each one that is not."""
    from vos3d_jax.porting import compare

    table = Table("ours", "in the file", "status", "largest difference", box=None, pad_edge=False)
    for row in comparison.tensors:
        if row.status in (compare.DIFFERENT, compare.SHAPE):
            table.add_row(escape(row.path), escape(row.name), row.status, f"{row.difference:.3e}")
    if table.row_count:
        _console().print(table)
    counts = collections.Counter(row.status for row in comparison.tensors)
    print(", ".join(f"{number} tensors {status}" for status, number in counts.items()))
    if only := [row.path for row in comparison.tensors if row.status == compare.ONLY_MODEL]:
        print(f"only in the model: {', '.join(_modules(only))}")
    if left := [row.name for row in comparison.tensors if row.status == compare.ONLY_FILE]:
        print(f"only in the file: {listed(left, _LISTED)}")
    if other := comparison.settings:
        values = ", ".join(f"{name}={ours} (the file's: {theirs})" for name, (ours, theirs) in other.items())
        print(f"not the function that the file becomes without --set: {values}")


def _console() -> Console:
    """The terminal; names are not cut where the output goes elsewhere."""
    console = Console()
    return console if console.is_terminal else Console(width=_FILE_WIDTH)


def _rows(rows: Sequence[TensorRow]) -> Table:
    table = Table("status", "name in the file", "ours", "shape", "expected", "note", box=None, pad_edge=False)
    for column in table.columns:
        column.overflow = "fold"
    for row in rows:
        shapes = ["" if shape is None else str(list(shape)) for shape in (row.shape, row.expected)]
        status = f"{row.status}, allowed" if row.allowed else row.status
        table.add_row(status, *map(escape, (printable(row.name), row.path, *shapes, row.note)))
    return table


def _reason(row: TensorRow) -> str:
    """Why a tensor is not used; the same for all second names."""
    if row.status == plans.ALIAS:
        return "another name of a tensor above"
    return row.note if row.status in (plans.UNUSED, plans.RANDOM, plans.CONSTANT) else ""


def _arguments(plan: Plan) -> str:
    return ", ".join(f"{k}={v}" for k, v in plan.arguments.items() if k not in _HIDDEN)


def _plain(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value


def _modules(paths: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(path.split("/")[0] for path in paths))
