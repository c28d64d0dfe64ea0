"""The bench's tables, in the terminal and as the markdown of docs/performance.md."""

import contextlib
import sys
from collections.abc import Callable, Iterator

from rich import box
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

_LAYER_COLUMNS = ("layer", "times", "input", "channels", "kernel", "GMAC", "auto", "ms", "GFLOP/s", "of peak")
_SHORT_COLUMNS = ("layer", "auto", "ms", "lax", "PyTorch", "best other", "its ms")
_WORDS = {"layer", "auto", "best other", "task", "system"}  # columns of words: from the left
_NETWORK_COLUMNS = (
    "task", "system", "seconds", "of PyTorch's", "GFLOP/s", "compile s", "memory MB", "error", "runs",
)  # fmt: skip


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
    _print(title, _SHORT_COLUMNS, [_short_cells(row["name"], row["chosen"], row["forward"]) for row in rows])
    trained = [row for row in rows if "training" in row]
    if trained:
        cells = [_short_cells(row["name"], row["chosen_training"], row["training"]) for row in trained]
        _print(f"{title}, forward and gradients", _SHORT_COLUMNS, cells)


def show_network(size: tuple[int, int], rows: list[dict]) -> None:
    """Prints one row a task and system, and below what was left out."""
    measured = [row for row in rows if row["seconds"] is not None]
    _print(f"network, 8x{size[0]}x{size[1]}", _NETWORK_COLUMNS, _network_cells(measured))
    for row in rows:
        if row["seconds"] is None:
            Console().print(f"{row['task']}, {row['system']}: {row['note']}", highlight=False)


def markdown(result: dict) -> str:
    """Returns all tables of a run."""
    parts = [_machine_line(result["machine"])]
    peak = result["machine"]["matmul_peak"]
    for entry in result["network"]:
        parts += [_title("Network", entry), _markdown(_NETWORK_COLUMNS, _network_cells(entry["rows"]))]
    for entry in result["layers"]:
        parts += [_title("Layers", entry), _markdown(*_layer_table(entry["rows"], peak))]
    return "\n\n".join(parts) + "\n"


def _title(what, entry):
    height, width = entry["size"]
    return f"### {what}, 8x{height}x{width}"


def _machine_line(machine):
    versions = f"jax {machine['jax']}, torch {machine['torch'] or 'not installed'}"
    return (
        f"{machine['date']}, {machine['device']}, {machine['threads']} threads, {versions}; "
        f"best float32 matrix product {machine['matmul_peak']:.0f} GFLOP/s; "
        f"XLA_FLAGS='{machine['XLA_FLAGS']}', VOS3D_TUNE={machine['VOS3D_TUNE']}, load {machine['load']:.1f}"
    )


def _layer_table(rows, peak):
    others = list(dict.fromkeys(name for row in rows for name in row["forward"]))
    training = [f"{name} (training)" for row in rows for name in row.get("training", {})]
    training = list(dict.fromkeys(training))
    return (*_LAYER_COLUMNS, *others, *training), [_layer_cells(row, peak, others, training) for row in rows]


def _layer_cells(row, peak, others, training):
    chosen = row["forward"][row["chosen"]]
    rate = 2e3 * row["gmac"] / chosen
    times = row["forward"]
    trained = {f"{name} (training)": value for name, value in row.get("training", {}).items()}
    return [
        row["name"],
        str(row["count"]),
        "x".join(map(str, row["size"])),
        f"{row['inputs']}->{row['outputs']}",
        "x".join(map(str, row["kernel"])) + ("" if max(row["stride"]) == 1 else " /2"),
        f"{row['gmac']:.3f}",
        row["chosen"],
        f"{chosen:.2f}",
        f"{rate:.0f}",
        "" if peak is None else f"{rate / peak:.0%}",
        *[f"{times[name]:.2f}" if name in times else "" for name in others],
        *[f"{trained[name]:.2f}" if name in trained else "" for name in training],
    ]


def _short_cells(name, chosen, times):
    others = {form: value for form, value in times.items() if form not in (chosen, "lax", "PyTorch")}
    best = min(others, key=others.get, default="")
    shown = [_short(times.get(form)) for form in (chosen, "lax", "PyTorch")]
    return [name, chosen, *shown, best, _short(others.get(best))]


def _short(value):
    """Three digits, and none of a time over 100 ms after the point."""
    if value is None:
        return ""
    return f"{value:.{2 if value < 10 else 1 if value < 100 else 0}f}"


def _network_cells(rows):
    torch = {row["task"]: row["seconds"] for row in rows if row["system"] == "PyTorch"}
    return [
        [row["task"], f"{row['system']}: {row['note']}", *[""] * (len(_NETWORK_COLUMNS) - 2)]
        if row["seconds"] is None
        else [
            row["task"],
            row["system"],
            f"{row['seconds']:.3f}",
            f"{row['seconds'] / torch[row['task']]:.3f}" if row["task"] in torch else "",
            f"{row['gflops']:.0f}",
            f"{row['compile_seconds']:.1f}",
            f"{row['memory_mb']:.0f}",
            f"{row['error']:.1e}" if row["error"] is not None else "",
            str(row["runs"]),
        ]
        for row in rows
    ]


def _print(title, columns, cells):
    """Prints a table without its empty columns."""
    table = Table(title=title, box=box.SIMPLE_HEAD, show_edge=False, padding=0, title_justify="left")
    kept = [place for place in range(len(columns)) if any(row[place] for row in cells)]
    for place in kept:
        if columns[place] in _WORDS:
            table.add_column(columns[place], no_wrap=True)
        else:
            table.add_column(columns[place].replace(" ", "\n"), justify="right")  # narrow heads
    for row in cells:
        table.add_row(*(row[place] for place in kept))
    console = Console()
    console.print()
    console.print(table)


def _markdown(columns, cells):
    lines = [columns, ["---"] * len(columns), *cells]
    return "\n".join("| " + " | ".join(row) + " |" for row in lines)
