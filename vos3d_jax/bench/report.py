"""The bench's tables, in the terminal and as the markdown of docs/performance.md; a row is {column: text}."""

import contextlib
import sys
from collections.abc import Callable, Iterator, Sequence

from rich import box
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

_TRAINING = " (training)"
_WORDS = {"layer", "auto", "best other", "task", "system"}  # columns of words: from the left


def show_machine(machine: dict) -> None:
    """Prints what is measured on."""
    Console().print(_machine_line(machine))


@contextlib.contextmanager
def progress() -> Iterator[Callable[[str], None]]:
    """Yields a function that shows on stderr what is measured next: in one line on a terminal, else in many.

    The line is drawn only when told to: a thread that draws would take time from what is measured.
    """
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda text: print(f"measuring {text}", file=sys.stderr, flush=True)
        return
    with Live(console=console, auto_refresh=False, transient=True) as line:
        yield lambda text: line.update(
            Text(f"measuring {text}", no_wrap=True, overflow="ellipsis"), refresh=True
        )


def show_layers(size: tuple[int, int], rows: list[dict]) -> None:
    """Prints one row a layer, in 80 columns; the markdown has all forms."""
    title = f"layers, 8x{size[0]}x{size[1]}"
    _print(title, [_short_row(row["name"], row["chosen"], row["forward"]) for row in rows])
    trained = [row for row in rows if "training" in row]
    if trained:
        short = [_short_row(row["name"], row["chosen_training"], row["training"]) for row in trained]
        _print(f"{title}, forward and gradients", short)


def show_network(size: tuple[int, int], rows: list[dict]) -> None:
    """Prints one row a task and system, and below what was left out."""
    measured = [row for row in rows if row["seconds"] is not None]
    _print(f"network, 8x{size[0]}x{size[1]}", _network_rows(measured))
    for row in rows:
        if row["seconds"] is None:
            Console().print(f"{row['task']}, {row['system']}: {row['note']}", highlight=False)


def markdown(result: dict) -> str:
    """Returns all tables of a run."""
    peak = result["machine"]["matmul_peak"]
    tables = [("Network", entry, _network_rows(entry["rows"])) for entry in result["network"]]
    tables += [
        ("Layers", entry, [_layer_row(row, peak) for row in entry["rows"]]) for entry in result["layers"]
    ]
    parts = [_machine_line(result["machine"])]
    for title, entry, rows in tables:
        columns = sorted(_columns(rows), key=lambda column: column.endswith(_TRAINING))
        cells = [[row.get(column, "") for column in columns] for row in rows]
        height, width = entry["size"]
        parts += [f"### {title}, 8x{height}x{width}", markdown_table(columns, cells)]
    return "\n\n".join(parts) + "\n"


def markdown_table(columns: Sequence[str], cells: Sequence[Sequence[str]]) -> str:
    """Returns a table in markdown."""
    lines = [columns, ["---"] * len(columns), *cells]
    return "\n".join("| " + " | ".join(row) + " |" for row in lines)


def _machine_line(machine):
    versions = f"jax {machine['jax']}, torch {machine['torch'] or 'not installed'}"
    return (
        f"{machine['date']}, {machine['device']}, {machine['threads']} threads, {versions}; "
        f"best float32 matrix product {machine['matmul_peak']:.0f} GFLOP/s; "
        f"XLA_FLAGS='{machine['XLA_FLAGS']}', VOS3D_TUNE={machine['VOS3D_TUNE']}, load {machine['load']:.1f}"
    )


def _layer_row(row, peak):
    chosen = row["forward"][row["chosen"]]
    rate = 2e3 * row["gmac"] / chosen
    times = row["forward"] | {f"{name}{_TRAINING}": value for name, value in row.get("training", {}).items()}
    return {
        "layer": row["name"],
        "times": str(row["count"]),
        "input": "x".join(map(str, row["size"])),
        "channels": f"{row['inputs']}->{row['outputs']}",
        "kernel": "x".join(map(str, row["kernel"])) + ("" if max(row["stride"]) == 1 else " /2"),
        "GMAC": f"{row['gmac']:.3f}",
        "auto": row["chosen"],
        "ms": f"{chosen:.2f}",
        "GFLOP/s": f"{rate:.0f}",
        "of peak": "" if peak is None else f"{rate / peak:.0%}",
        **{name: f"{value:.2f}" for name, value in times.items()},
    }


def _short_row(name, chosen, times):
    others = {form: value for form, value in times.items() if form not in (chosen, "lax", "PyTorch")}
    best = min(others, key=others.get, default="")
    milliseconds = {"ms": times[chosen], "lax": times.get("lax"), "PyTorch": times.get("PyTorch")}
    return {
        "layer": name,
        "auto": chosen,
        **{column: _three_digits(value) for column, value in milliseconds.items()},
        "best other": best,
        "its ms": _three_digits(others.get(best)),
    }


def _three_digits(value):
    """The milliseconds; none of a time over 100 after the point."""
    return "" if value is None else f"{value:.{2 if value < 10 else 1 if value < 100 else 0}f}"


def _network_rows(rows):
    torch = {row["task"]: row["seconds"] for row in rows if row["system"] == "PyTorch"}
    return [
        {"task": row["task"], "system": f"{row['system']}: {row['note']}"}
        if row["seconds"] is None
        else {
            "task": row["task"],
            "system": row["system"],
            "seconds": f"{row['seconds']:.3f}",
            "of PyTorch's": f"{row['seconds'] / torch[row['task']]:.3f}" if row["task"] in torch else "",
            "GFLOP/s": f"{row['gflops']:.0f}",
            "compile s": f"{row['compile_seconds']:.1f}",
            "memory MB": f"{row['memory_mb']:.0f}",
            "error": f"{row['error']:.1e}" if row["error"] is not None else "",
            "runs": str(row["runs"]),
        }
        for row in rows
    ]


def _columns(rows):
    return list(dict.fromkeys(column for row in rows for column in row))


def _print(title, rows):
    """Prints a table without its empty columns."""
    table = Table(title=title, box=box.SIMPLE_HEAD, show_edge=False, padding=0, title_justify="left")
    columns = [column for column in _columns(rows) if any(row.get(column) for row in rows)]
    for column in columns:
        if column in _WORDS:
            table.add_column(column, no_wrap=True)
        else:
            table.add_column(column.replace(" ", "\n"), justify="right")  # narrow heads
    for row in rows:
        table.add_row(*(row.get(column, "") for column in columns))
    console = Console()
    console.print()
    console.print(table)
