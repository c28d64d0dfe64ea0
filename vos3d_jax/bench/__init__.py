"""The command that measures: each convolution form on the network's layers, and the network itself.

Everything is timed beside plain lax, and beside PyTorch where torch can be imported: in one process, in
turn, medians. What it measured, and what follows from it, is in docs/performance.md.
"""

import argparse
import json
import os
import sys
from pathlib import Path

from vos3d_jax import command, files
from vos3d_jax.command_line import Parser
from vos3d_jax.constants import BLOCKS
from vos3d_jax.errors import UserError

_EXAMPLE = """\
example: python -m vos3d_jax.bench --network --size 128x224 --threads 2 --json bench.json

Without --layers and --network both are measured, at 128x224 and 240x432 (some minutes).
Metrics and scoring: python -m vos3d_jax.bench.scoring_times --data_dir=DAVIS"""


def main(arguments: list[str] | None = None) -> int:
    """Returns the exit status of the command."""
    return command.run("vos3d bench", _run, arguments)


def _run(arguments: list[str]) -> None:
    options = _parse(arguments)
    if options.threads is not None:
        # XLA sizes its pool by the CPUs that the process may use when jax starts.
        _use_threads(options.threads)
    from vos3d_jax.bench import layer_times, network_times, report, timing

    timing.start(options.threads or len(os.sched_getaffinity(0)))
    result = {"layers": [], "network": []}
    with report.progress() as say:
        say("a matrix product, for the machine's peak")
        result["machine"] = timing.machine()
    report.show_machine(result["machine"])
    for size in options.size or [(128, 224), (240, 432)]:
        if options.layers:
            with report.progress() as say:
                rows = layer_times.measure(
                    size, options.dtype, options.depth, gradients=options.gradients, say=say
                )
            result["layers"].append({"size": size, "rows": rows})
            report.show_layers(size, rows)
        if options.network:
            with report.progress() as say:
                rows = network_times.measure(size, options.dtype, depth=options.depth, say=say)
            result["network"].append({"size": size, "rows": rows})
            report.show_network(size, rows)
    if options.json:
        options.json.write_text(json.dumps(result, indent=1))
    if options.markdown:
        options.markdown.write_text(report.markdown(result))


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = Parser(
        "vos3d bench",
        description=__doc__,
        epilog=_EXAMPLE,
    )
    parser.add_argument("--layers", action="store_true", help="only the layers of each stage")
    parser.add_argument("--network", action="store_true", help="only the whole network")
    parser.add_argument("--gradients", action="store_true", help="layers: time forward and backward as well")
    parser.add_argument("--size", action="append", type=_size, metavar="HxW", help="clip size (repeatable)")
    parser.add_argument("--depth", type=int, default=152, help="depth of the encoder (default: 152)")
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--threads", type=int, metavar="N", help="CPU threads for both sides (default: all)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write all tables")
    options = parser.parse_args(arguments)
    if not (options.layers or options.network):
        options.layers = options.network = True
    if options.depth not in BLOCKS["csn"]:
        raise UserError(f"--depth {options.depth}: the encoder has {', '.join(map(str, BLOCKS['csn']))}")
    for height, width in options.size or ():
        if options.network and (height % 4 or width % 4):
            raise UserError(f"--size {height}x{width}: the network is measured at multiples of 4")
    for file in filter(None, (options.json, options.markdown)):
        # Now, not after minutes of measuring; and the file stays as it is.
        there = file.exists() or file.is_symlink()
        with files.writing(file):
            file.open("a").close()
        if not there:
            file.unlink()
    return options


def _size(text: str) -> tuple[int, int]:
    try:
        height, width = map(int, text.split("x"))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not HEIGHTxWIDTH, as in 128x224") from None
    if height < 1 or width < 1:
        raise argparse.ArgumentTypeError(f"{text!r} has no pixels")
    return height, width


def _use_threads(threads: int) -> None:
    allowed = sorted(os.sched_getaffinity(0))
    if not 1 <= threads <= len(allowed):
        raise UserError(f"--threads {threads}: this process may use 1 to {len(allowed)}")
    if "jax" in sys.modules:
        raise UserError("--threads must be set before jax is imported: run python -m vos3d_jax.bench")
    os.sched_setaffinity(0, allowed[:threads])
