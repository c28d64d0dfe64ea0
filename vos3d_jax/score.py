"""`python -m vos3d_jax.score`: scores masks in files, whoever made them, as a benchmark does.

The module can be called like the function of the same name in the public interface, `vos3d_jax.score(...)`,
because importing it puts it in that function's place.
"""

import argparse
import contextlib
import dataclasses
import inspect
import shlex
import sys
import types
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vos3d_jax import command, files, records
from vos3d_jax.command_line import OVERWRITE, Parser, named_values, require_path
from vos3d_jax.errors import UserError

if TYPE_CHECKING:
    from vos3d_jax.evaluation.benchmark_data import BenchmarkData
    from vos3d_jax.evaluation.report import Other
    from vos3d_jax.evaluation.runs import Benchmark
    from vos3d_jax.evaluation.scores import Scores

_EXAMPLES = """examples:
  python -m vos3d_jax.score --benchmark=davis2016 --results=RESULTS --data_dir=DAVIS --output=OUT
      RESULTS/blackswan/00000.png, ...: palette or grey PNG, ids or 0 and 255
  python -m vos3d_jax.score --benchmark=davis2016_all_frames --results=runs/mine/evaluation \\
      --data_dir=DAVIS --output=OUT --compare=other/scores.json
      a folder that main wrote: its masks and soft maps
  python -m vos3d_jax.score --benchmark=folder --results=RESULTS --data_dir=MINE --output=OUT
      your own videos: MINE/<video>/frames/00000.jpg with MINE/<video>/masks/00000.png;
      without frames, MINE/<video>/00000.png are true masks
  python -m vos3d_jax.score --benchmark=davis2017 --results=masks.zip --data_dir=DAVIS --output=OUT \\
      --compare=a/scores.json --compare=b/scores.json --percent
      a zip file as its server takes it, checked; beside two other methods, in percent

Layouts of the others: sa_v RESULTS/<video>/<object>/<frame>.png; jumpcut RESULTS/<clip>/key016/<frame>.png
for the key frame 16 and frames 24, 32, 48; jhmdb RESULTS/split1/<class>/<clip>/<frame>.png, with the scores
of the actions in RESULTS/split1/actions.csv (clip,frame,<the 21 classes>).

A scoring that was killed goes on when the same command is given again; a finished one is made again, as
masks may have changed. Scores of something else (other results, data or settings) are refused without
--overwrite."""
_PARTS = "parts"
# Flags that change no score, or are in the record by what they mean.
_BESIDE = (
    "output", "overwrite", "results", "maps", "data_dir", "defect", "method", "workers", "compare", "percent",
    "report",
)  # fmt: skip
_CHOICES = ("half", "ids")  # of media.encodings, which takes a while to import


def main(arguments: list[str] | None = None) -> int:
    """Returns the exit status: 0, or 2 after a user's mistake."""
    return command.run("vos3d score", _run, arguments, jax=False)


def _run(arguments: list[str]) -> None:
    parser = _parser()
    options = parser.parse_args(arguments)
    require_path(options.results, "the folder of the masks, <sequence>/<frame>.png")
    if options.maps:
        require_path(options.maps, "a folder of soft maps")
    for path in options.compare:
        require_path(path, "the scores.json of another method")
    from vos3d_jax.evaluation import benchmarks, report, scoring, workers
    from vos3d_jax.evaluation.results_folder import Results
    from vos3d_jax.evaluation.scores import require_same_protocol
    from vos3d_jax.progress import Progress

    rules = benchmarks.find(options.benchmark, options.metrics, options.partial)
    given, output = Path(options.results), Path(options.output)
    taken = (given, options.maps)
    if given.is_dir():  # not a zip file
        results = Results.find(given, options.maps)
        taken = (results.masks, results.maps)
    for what, folder in (("results", taken[0]), ("results", taken[1]), ("data", options.data_dir)):
        if folder and output.resolve().is_relative_to(Path(folder).resolve()):
            raise UserError(f"{output} is in the {what}, {folder}: give another --output")
    if output.resolve() == given.resolve():  # of main's evaluation, beside whose masks its scores stand
        raise UserError(f"{output} is the folder of the results: give another --output")
    others = [report.read_other(path) for path in options.compare]
    protocol = scoring.protocol(rules, options.defect)
    for other in others:
        require_same_protocol((rules.name, protocol), (other.scores.benchmark, other.scores.protocol))
    data = _load(options, rules)
    for other in others:
        scoring.require_same_frames(data, other.scores)
    typed = shlex.join(["python", "-m", "vos3d_jax.score", *arguments])
    settings = {
        "protocol": protocol,
        "maps": options.maps and str(Path(options.maps).resolve()),
        "data": str(Path(options.data_dir or "").resolve()),
        **{name: value for name, value in vars(options).items() if name not in _BESIDE},
    }
    made = report.Made.now(typed, given, settings)
    with files.exclusive(output), contextlib.ExitStack() as stack:
        before = records.read(output / report.MADE)
        there = (output / "scores.json").exists() and not options.overwrite
        if there and not records.same(before, made.record):
            raise records.occupied(output / "scores.json", records.differences(before, made.record))
        folder = stack.enter_context(scoring.opened_results(given, data))
        try:
            with Progress("scoring", "sequences") as progress:
                scores = scoring.score(
                    folder,
                    data,
                    maps_dir=options.maps,
                    method=options.method or given.resolve().name.removesuffix(".zip"),
                    workers=options.workers,
                    work_dir=output / _PARTS,
                    progress=progress.scored,
                    defects=options.defect,
                )
        except KeyboardInterrupt:
            print("give the same command again to go on: sequences that are done are kept", file=sys.stderr)
            raise
        report.write(
            scores,
            output,
            videos=data.videos,
            masks_dir=Results.find(folder).masks,
            compare=[_with_masks(other, data, stack) for other in others],
            made=made,
            html=options.report,
            percent=options.percent,
        )
        workers.remove_parts(output / _PARTS)
        report.show(report.table(scores, options.percent))
        written = "scores.json, tables and report.html" if options.report else "scores.json and tables"
        print(f"{written} are in {output}")
        if others:
            _show_comparison(scores, [other.scores for other in others], options.percent)


def _load(options: argparse.Namespace, rules: "Benchmark") -> "BenchmarkData":
    from vos3d_jax.evaluation import benchmark_data, scoring

    asked = named_values("--option", options.option)
    for name in asked.keys() & inspect.signature(scoring.score).parameters.keys():
        raise UserError(f"--option={name}=...: {name} is no option of a data set's reader: see --help")
    asked |= {name: getattr(options, name) for name in ("resolution", "split", "mask_values")}
    if rules.dataset == "moving_shapes" and not {"count", "length", "size"} <= asked.keys():
        raise UserError(
            f"{rules.name} is generated: give --option=count=N --option=length=N --option=size=[HEIGHT,WIDTH]"
            " as the config of the masks has them"
        )
    return benchmark_data.load(rules, options.data_dir, **asked)


def _with_masks(other: "Other", data: "BenchmarkData", stack: contextlib.ExitStack) -> "Other":
    """The result to compare with and the folder of its masks, of a zip file as long as `stack` is open."""
    from vos3d_jax.evaluation import scoring
    from vos3d_jax.evaluation.results_folder import Results

    if other.results is None:
        return other
    try:
        folder = stack.enter_context(scoring.opened_results(other.results, data))
        return dataclasses.replace(other, results=Results.find(folder).masks)
    except UserError as error:
        return dataclasses.replace(other, results=None, absent=str(error))


def _show_comparison(scores: "Scores", others: Sequence["Scores"], percent: bool) -> None:
    from vos3d_jax.evaluation import report

    try:
        compared = report.compare_all(scores, others, percent)
    except UserError as error:
        raise UserError(f"the scores are written; the comparison is not made: {error}") from None
    report.show(report.compare_table([(one.method, one) for one in (scores, *others)], percent))
    report.show(report.tests_table(scores, others, compared, percent))


def _parser() -> Parser:
    parser = Parser(
        prog="vos3d score",
        description="Scores masks in files as a benchmark does, and writes a report.",
        epilog=_EXAMPLES,
    )
    add = parser.add_argument
    add(
        "--benchmark",
        default="davis2016",
        metavar="NAME",
        help="davis2016 (default), davis2016_all_frames, davis2017, davis2017_unsupervised, fbms, visal, "
        "visal_original_size, segtrack_v2, segtrack_v2_objects, jhmdb, jumpcut, youtube_vos, sa_v, folder, "
        "folder_objects",
    )
    add(
        "--results",
        required=True,
        metavar="DIR",
        help="the masks, <sequence>/<frame>.png, or the zip file of them that a benchmark's server takes",
    )
    add("--data_dir", metavar="DIR", help="the benchmark's data")
    add("--output", required=True, metavar="DIR", help="folder for scores.json, tables and report.html")
    add("--overwrite", **OVERWRITE)
    add("--maps", metavar="DIR", help="soft maps under the same names, grey PNG of 8 or 16 bits")
    add("--method", metavar="NAME", help="what tables call it (default: the results' folder)")
    add("--workers", type=_count, metavar="N", help="processes (default: as many as win)")
    add(
        "--metrics",
        type=lambda text: text.split(","),
        metavar="J,F",
        help="measure these of the benchmark's metrics only (default: all)",
    )
    add(
        "--no-report",
        dest="report",
        action="store_false",
        help="scores.json and tables, no page and pictures",
    )
    add(
        "--mask_values",
        choices=_CHOICES,
        help="what to make of masks whose values cannot be told for certain, which are refused otherwise: "
        "half (soft edges are cut at the half), ids (they are ids, and 255 is void)",
    )
    add("--resolution", metavar="NAME", help='frames and masks to read ("240p"; default: the benchmark\'s)')
    add("--split", metavar="NAME", help="list of videos to read (default: the benchmark's)")
    add(
        "--compare",
        action="append",
        default=[],
        metavar="FILE",
        help="the scores.json of another method, to stand beside this one with tests (may be given again)",
    )
    add(
        "--partial",
        action="store_true",
        help="score what there is: sequences and frames without a mask are left out, and the scores say so",
    )
    add("--percent", action="store_true", help="tables, report and LaTeX rows in percent, not in fractions")
    add(
        "--defect",
        action="append",
        default=[],
        metavar="NAME",
        help="repeat a defect of the official tools (may be given again): decay_8bit, nan_recall, "
        "assigned_order",
    )
    add(
        "--option",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help='an option of the data\'s reader, such as frames="{clip}/*.jpg" of jumpcut (may be given again)',
    )
    return parser


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is no number of processes: give 1 or more")
    return int(text)


class _CallableModule(types.ModuleType):
    def __call__(self, *arguments: Any, **options: Any) -> "Scores":
        """Returns `vos3d_jax.evaluation.scoring.score(...)`."""
        from vos3d_jax.evaluation import scoring

        return scoring.score(*arguments, **options)


sys.modules[__name__].__class__ = _CallableModule

if __name__ == "__main__":
    sys.exit(main())
