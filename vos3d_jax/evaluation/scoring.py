"""Scores masks: those in files, whoever made them, or those of a running method, taken one at a time.

Both go through `measuring.measure`, so that a method scores the same either way.
"""

import itertools
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from vos3d_jax.errors import UserError
from vos3d_jax.evaluation import aggregation, archives, measuring, provenance, results_folder
from vos3d_jax.evaluation import workers as processes
from vos3d_jax.evaluation.actions import Actions, read_actions
from vos3d_jax.evaluation.benchmark_data import BenchmarkData, load
from vos3d_jax.evaluation.benchmarks import BENCHMARKS, find
from vos3d_jax.evaluation.results_folder import Results
from vos3d_jax.evaluation.run_measures import RunMeasures
from vos3d_jax.evaluation.runs import Benchmark, Run, of_one_answer
from vos3d_jax.evaluation.scores import DEFECTS, Scores, other_frames
from vos3d_jax.evaluation.workers import Job, Progress
from vos3d_jax.media.encodings import Choice

Masks = Iterator[UInt8[np.ndarray, "h w"] | None]


def score(
    results_dir: str | Path,
    benchmark: str | BenchmarkData = "davis2016",
    data_dir: str | Path | None = None,
    *,
    maps_dir: str | Path | None = None,
    mask_values: Choice = None,
    metrics: Sequence[str] | None = None,
    method: str | None = None,
    workers: int | None = None,
    work_dir: str | Path | None = None,
    progress: Progress | None = None,
    resolution: str | None = None,
    split: str | None = None,
    card: str | None = None,
    defects: Sequence[str] = (),
    partial: bool = False,
    **options: Any,
) -> Scores:
    """Returns the scores of masks in files: `<results_dir>/<sequence>/<frame>.png`, whoever made them.

    Args:
        results_dir: palette or grey PNGs, or a folder that holds `masks` (and `maps`), as `main` writes it;
            or the zip file of masks that the benchmark's server takes.
            JumpCut: `<clip>/key016/<frame>.png`; J-HMDB: `split1/<class>/<clip>/<frame>.png`, and the scores
            of the actions in `split1/actions.csv` (`clip,frame,<the 21 classes>`).
        benchmark: a row of `benchmarks.BENCHMARKS`; it says which frames count, and what is measured. Or one
            with its data, which say data_dir, mask_values, metrics, resolution, split, partial and options.
        data_dir: the benchmark's data.
        mask_values: what to make of masks, true ones of own data and results, whose values cannot be told for
            certain (`media.encodings.decide`): "half", "ids", or None, to refuse them.
        maps_dir: soft maps under the same names, grey PNGs of 8 or 16 bits; without them the measures that
            need them are left out. Those in the results' own `maps` are passed over where none are measured.
        metrics: those of the benchmark's metrics that are measured ("J", "F"); None: all.
        method: the name for tables; the name of the results' folder by default.
        workers: how many processes, this one among them; None: as many as win, at most one a core.
        work_dir: a folder that keeps what is done, so that a scoring that was killed goes on;
            `workers.remove_parts` clears it once the scores are written.
        progress: is told (runs done, of how many, frames of the run) after each.
        resolution: the folder of frames and masks, if not the benchmark's own ("480p").
        split: the list of videos, if not the benchmark's own.
        card: sha256 of the card of the model that made them.
        defects: names of `scores.DEFECTS`, mistakes of the official tools to repeat.
        partial: sequences and frames without a mask are left out, which scores and protocol then say;
            otherwise they are an error.
        options: further arguments of the data set's reader.

    Raises:
        UserError: results or data are missing, damaged or of different sizes; the benchmark does not measure
            one of the metrics, or no maps; what its data say already is given, too.
    """
    options |= {"resolution": resolution, "split": split, "mask_values": mask_values}
    if isinstance(benchmark, BenchmarkData):
        data = benchmark
        asked = {**options, "data_dir": data_dir, "metrics": metrics, "partial": partial}
        if known := [name for name, value in asked.items() if value]:
            raise UserError(
                f"{', '.join(known)}: the benchmark's data say that: give it to `benchmark_data.load`"
            )
    else:
        data = load(find(benchmark, metrics, partial), data_dir, **options)
    rules, runs, defects = data.rules, data.runs, tuple(sorted(set(defects)))
    protocol(rules, defects)  # names of defects are checked before masks are
    if maps_dir is not None and not rules.takes_maps:
        others = ", ".join(row.name for row in BENCHMARKS.values() if row.takes_maps)
        chosen = " with these metrics" if find(rules.name).takes_maps else ""
        raise UserError(
            f"{rules.name} measures no soft maps{chosen}: leave {maps_dir} out, or score as {others}"
        )
    with opened_results(results_dir, data) as folder:
        results = Results.find(folder, maps_dir, data.mask_values)
        results = results if rules.takes_maps else replace(results, maps=None)
        notes = provenance.overlap(results.masks, data.folder)
        if rules.partial:
            runs, left_out = results_folder.only_present(results, runs)
            notes = (left_out, *notes)
        results_folder.check_files(results, runs)
        actions = read_actions(results.masks, runs) if "frame_map" in rules.metrics else None
        keep = None if work_dir is None else Path(work_dir)
        measured = processes.score_all(
            [Job(rules, run, results, defects, keep) for run in runs], workers, progress
        )
        for run, one in zip(runs, measured, strict=True):
            if run.video.meaning is not None:
                run.video.meaning(one.truth_meaning)  # the report's pictures need not decide it again
        return _scores(
            rules,
            runs,
            measured,
            method or Path(results_dir).resolve().name.removesuffix(".zip"),
            defects,
            actions,
            notes,
            model_card=card,
            maps=results_folder.map_bits(results, runs),
            options=provenance.asked(data.asked),
        )


def opened_results(results: str | Path, data: BenchmarkData) -> AbstractContextManager[Path]:
    """Returns the folder of results, which may be a zip file: a context, and errors, as `archives.opened`."""
    folders = {run.folder for run in data.runs}
    return archives.opened(results, folders, data.rules.zip_root, data.rules.title)


def require_same_frames(data: BenchmarkData, other: Scores) -> None:
    """Returns if another result can be of these videos, by their names, sizes and scored frames.

    Whether the true masks are the same, and which frames of a part or of an object that enters late count, is
    known only when they are scored (`scores.require_comparable`).

    Raises:
        UserError: it is of others.
    """
    rules, ours, theirs = data.rules, defaultdict(set), defaultdict(set)
    for run in data.runs:
        ours[run.video.name] |= {(run.video.frame_names[index], run.video.size) for index in run.scored}
    for row in other.rows:
        theirs[row.sequence] |= {(frame, row.size) for frame in row.frames}
    whole = not rules.partial and rules.objects != "entering"
    for name in dict.fromkeys([*ours, *theirs]):
        left_out = name not in theirs and rules.partial
        if not left_out and (not theirs[name] <= ours[name] or (whole and theirs[name] != ours[name])):
            raise other_frames(name)


def score_predictions(data: BenchmarkData, answer: Callable[[Run], Masks], *, method: str = "") -> Scores:
    """Returns the scores of a running method, whose masks are taken one at a time and dropped.

    Runs of one video with the same masks given have one answer, which is asked for once.

    Args:
        data: the benchmark and its videos; measures of soft maps are left out.
        answer: run -> its masks in order, one for each of `run.frames`: ids, uint8 [h, w] of the frame's
            size; of merged objects any id but 0 is foreground. None may stand for a frame that is not scored.
        method: the name for tables.

    Raises:
        UserError: a mask is missing or of another size; a video has no true masks.
    """
    measured = {}
    for first, *others in of_one_answer(data.runs):
        masks, *copies = itertools.tee(answer(first), 1 + len(others)) if others else (answer(first),)
        measured[first.name] = measuring.measure(data.rules, first, masks)
        for run, copy in zip(others, copies, strict=True):
            seen = itertools.islice(copy, len(run.frames))
            measured[run.name] = measuring.measure(data.rules, run, seen)
    return _scores(data.rules, data.runs, [measured[run.name] for run in data.runs], method)


def protocol(benchmark: Benchmark, defects: Sequence[str] = ()) -> str:
    """Returns the name of the protocol that results carry, with the official tools' defects that it repeats.

    Raises:
        UserError: there is no such defect.
    """
    for name in defects:
        if name not in DEFECTS:
            raise UserError(f"there is no defect {name!r} to repeat: choose one of {', '.join(DEFECTS)}")
    return "+".join((benchmark.protocol, *sorted(set(defects))))


def everything_foreground(run: Run) -> Masks:
    """Yields the masks of the simplest baseline: every pixel of every frame is foreground."""
    for _ in run.frames:
        yield np.ones(run.video.size, np.uint8)


def _scores(
    rules: Benchmark,
    runs: Sequence[Run],
    measured: Sequence[RunMeasures],
    method: str,
    defects: tuple[str, ...] = (),
    actions: Actions | None = None,
    notes: tuple[str, ...] = (),
    **made_of: Any,
) -> Scores:
    figures, of_figures = aggregation.headline(rules, runs, measured, actions)
    truth, results = (
        provenance.meanings(runs, [getattr(one, f"{whose}_meaning") for one in measured], usual)
        for whose, usual in (("truth", f"by the rule of {rules.dataset}"), ("result", "ids"))
    )
    return Scores(
        benchmark=rules.name,
        title=rules.title,
        protocol=protocol(rules, defects),
        rule="; ".join((rules.rule, *(f"as in the official tool, {DEFECTS[name]}" for name in defects))),
        average=rules.average,
        complete=not rules.partial and rules.is_complete(run.video for run in runs),
        method=method,
        metrics=rules.metrics,
        rows=tuple(row for one in measured for row in one.rows),
        figures=figures,
        notes=of_figures + notes,
        defects=defects,
        provenance={
            "data": provenance.fingerprint(runs, [one.truth for one in measured]),
            "results": provenance.fingerprint(runs, [one.results for one in measured]),
            "model_card": None,
            "maps": None,
            "masks": {"truth": truth, "results": results},
            "options": {},
            **made_of,
            "versions": provenance.versions(),
        },
    )
