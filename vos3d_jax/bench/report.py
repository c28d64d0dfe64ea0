"""The bench's tables, in the terminal and as the markdown of docs/performance.md."""

from rich.console import Console
from rich.table import Table

_LAYER_COLUMNS = ("layer", "times", "input", "channels", "kernel", "GMAC", "auto", "ms", "GFLOP/s", "of peak")
_NETWORK_COLUMNS = (
    "task", "system", "seconds", "of PyTorch's", "GFLOP/s", "compile s", "memory MB", "error", "runs",
)  # fmt: skip


def show_machine(machine: dict) -> None:
    """Prints what is measured on."""
    Console().print(_machine_line(machine))


def show_layers(size: tuple[int, int], rows: list[dict], peak: float | None = None) -> None:
    """Prints one row a layer."""
    _print(f"layers, 8x{size[0]}x{size[1]}", *_layer_table(rows, peak))


def show_network(size: tuple[int, int], rows: list[dict]) -> None:
    """Prints one row a task and system."""
    _print(f"network, 8x{size[0]}x{size[1]}", _NETWORK_COLUMNS, _network_cells(rows))


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
            f"{row['gflops']:.0f}" if row["gflops"] else "",
            f"{row['compile_seconds']:.1f}",
            f"{row['memory_mb']:.0f}",
            f"{row['error']:.1e}" if row["error"] is not None else "",
            str(row["runs"]),
        ]
        for row in rows
    ]


def _print(title, columns, cells):
    table = Table(title=title, show_edge=False)
    for column in columns:
        table.add_column(column, justify="left" if column in ("layer", "auto", "task", "system") else "right")
    for row in cells:
        table.add_row(*row)
    width = 250 if len(columns) > len(_NETWORK_COLUMNS) else 120
    Console(width=width).print(table)


def _markdown(columns, cells):
    lines = [columns, ["---"] * len(columns), *cells]
    return "\n".join("| " + " | ".join(row) + " |" for row in lines)
