"""Scores masks: those in files, whoever made them, or those of a running method, taken one at a time.

Both go through `measuring.measure`, so that a method scores the same either way.
"""

import contextlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from vos3d_jax.data import datasets
from vos3d_jax.data.video import Video
from vos3d_jax.errors import UserError
from vos3d_jax.evaluation import aggregation, archives, measuring, provenance, results_folder
from vos3d_jax.evaluation import workers as processes
from vos3d_jax.evaluation.actions import Actions, read_actions
from vos3d_jax.evaluation.benchmarks import BENCHMARKS, find
from vos3d_jax.evaluation.parts import Part
from vos3d_jax.evaluation.results_folder import Results
from vos3d_jax.evaluation.runs import Benchmark, Run
from vos3d_jax.evaluation.scores import DEFECTS, Row, Scores, other_frames
from vos3d_jax.evaluation.workers import Job, Progress, remove_parts
from vos3d_jax.media.encodings import Choice, require_choice

__all__ = [
    "benchmark_videos",
    "everything_foreground",
    "opened_results",
    "protocol",
    "remove_parts",
    "require_same_frames",
    "score",
    "score_predictions",
]

Masks = Iterator[UInt8[np.ndarray, "h w"] | None]


def score(
    results_dir: str | Path,
    benchmark: str = "davis2016",
    data_dir: str | Path | None = None,
    *,
    maps_dir: str | Path | None = None,
    mask_values: Choice = None,
    metrics: Sequence[str] | None = None,
    method: str | None = None,
    workers: int | None = None,
    work_dir: str | Path | None = None,
    progress: Progress | None = None,
    videos: Sequence[Video] | None = None,
    resolution: str | None = None,
    split: str | None = None,
    card: str | None = None,
    defects: Sequence[str] = (),
    partial: bool = False,
    **options,
) -> Scores:
    """The scores of masks in files: `<results_dir>/<sequence>/<frame>.png`, whoever made them.

    Args:
        results_dir: palette or grey PNGs, or a folder that holds `masks` (and `maps`), as `main` writes it;
            or the zip file of masks that the benchmark's server takes.
            JumpCut: `<clip>/key016/<frame>.png`; J-HMDB: `split1/<class>/<clip>/<frame>.png`, and the scores
            of the actions in `split1/actions.csv` (`clip,frame,<the 21 classes>`).
        benchmark: a row of `benchmarks.BENCHMARKS`; it says which frames count, and what is measured.
        data_dir: the benchmark's data.
        mask_values: what to make of masks, true ones of own data and results, whose values cannot be told for
            certain (`media.encodings.decide`): "half", "ids", or None, to refuse them.
        maps_dir: soft maps under the same names, grey PNGs of 8 or 16 bits; without them the measures that
            need them are left out. Those in the results' own `maps` are passed over where none are measured.
        metrics: those of the benchmark's metrics that are measured ("J", "F"); None: all.
        method: the name for tables; the name of the results' folder by default.
        workers: how many processes, this one among them; None: as many as win, at most one a core.
        work_dir: a folder that keeps what is done, so that a scoring that was killed goes on; `remove_parts`
            clears it once the scores are written.
        progress: is told (runs done, of how many, frames of the run) after each.
        videos: what `benchmark_videos` gave for the same arguments, where they are at hand.
        resolution: the folder of frames and masks, if not the benchmark's own ("480p").
        split: the list of videos, if not the benchmark's own.
        card: sha256 of the card of the model that made them.
        defects: names of `scores.DEFECTS`, mistakes of the official tools to repeat.
        partial: sequences and frames without a mask are left out, which scores and protocol then say;
            otherwise they are an error.
        options: further arguments of the data set's reader.

    Raises:
        UserError: results or data are missing, damaged or of different sizes; the benchmark does not measure
            one of the metrics, or no maps.
    """
    rules = find(benchmark) if metrics is None else find(benchmark).measuring(metrics)
    defects = tuple(sorted(set(defects)))
    protocol(rules, defects)  # names of defects are checked before anything is read
    require_choice(mask_values)
    if maps_dir is not None and not rules.takes_maps:
        others = ", ".join(row.name for row in BENCHMARKS.values() if row.takes_maps)
        what = f"{rules.name} measures no soft maps{' with these metrics' if metrics else ''}"
        raise UserError(f"{what}: leave {maps_dir} out, or score as {others}")
    if videos is None:
        videos = benchmark_videos(
            rules, data_dir, resolution=resolution, split=split, mask_values=mask_values, **options
        )
    if split not in (None, rules.split):
        rules = replace(rules, title=f"{rules.title} (split {split})")
    runs = _runs(rules, videos)
    with opened_results(results_dir, rules, videos) as found:
        results = Results.find(found, maps_dir, mask_values)
        results = results if rules.takes_maps else replace(results, maps=None)
        notes = provenance.overlap(results.masks, data_dir)
        if partial:
            runs, left_out = results_folder.only_present(results, runs)
            rules, notes = rules.in_part(), (left_out, *notes)
        results_folder.check_files(results, runs)
        actions = read_actions(results.masks, runs) if "frame_map" in rules.metrics else None
        folder = None if work_dir is None else Path(work_dir)
        jobs = [Job(rules, run, results, defects, folder) for run in runs]
        measured = processes.score_all(jobs, workers, progress)
        for run, part in zip(runs, measured, strict=True):
            if run.video.meaning is not None:
                run.video.meaning(part.truth_meaning)  # the report's pictures need not decide it again
        return _scores(
            rules,
            runs,
            measured,
            method=method or Path(results_dir).resolve().name.removesuffix(".zip"),
            defects=defects,
            actions=actions,
            notes=notes,
            made_of={
                "model_card": card,
                "maps": results_folder.map_bits(results, runs),
                "options": provenance.asked(
                    {"resolution": resolution, "split": split, "mask_values": mask_values, **options}
                ),
            },
        )


def opened_results(
    results: str | Path, rules: Benchmark, videos: Sequence[Video]
) -> AbstractContextManager[Path]:
    """The folder of results, which may be a zip file: a context, and errors, as `archives.opened`."""
    if Path(results).is_dir():
        return contextlib.nullcontext(Path(results))
    folders = {run.folder for run in _runs(rules, videos)}
    return archives.opened(results, folders, rules.zip_root, rules.title)


def require_same_frames(rules: Benchmark, videos: Sequence[Video], other: Scores) -> None:
    """Returns if another result can be of these videos, by their names, sizes and scored frames.

    Whether the true masks are the same, and which frames of a part or of an object that enters late count, is
    known only when they are scored (`scores.require_comparable`).

    Raises:
        UserError: it is of others.
    """
    ours, theirs = defaultdict(set), defaultdict(set)
    for run in _runs(rules, videos):
        ours[run.video.name] |= {(run.video.frame_names[index], run.video.size) for index in run.scored}
    for row in other.rows:
        theirs[row.sequence] |= {(frame, row.size) for frame in row.frames}
    whole = not rules.partial and rules.objects != "entering"
    for name in dict.fromkeys([*ours, *theirs]):
        left_out = name not in theirs and rules.partial
        if not left_out and (not theirs[name] <= ours[name] or (whole and theirs[name] != ours[name])):
            raise other_frames(name)


def score_predictions(
    benchmark: Benchmark | str,
    videos: Sequence[Video],
    masks: Callable[[Video], Masks],
    *,
    method: str = "",
    progress: Callable[[tuple[Row, ...]], None] | None = None,
) -> Scores:
    """The scores of a running method, whose masks are taken one at a time and dropped.

    Args:
        benchmark: the benchmark or its name; measures of soft maps are left out.
        videos: its videos, or some of them (then the scores are marked as not complete).
        masks: video -> its masks in order, one a frame: ids, uint8 [h, w] of the frame's size; of merged
            objects any id but 0 is foreground. None may stand for a frame that is not scored.
        method: the name for tables.
        progress: called with the rows of each video that is done.

    Raises:
        UserError: no videos; a mask is missing or of another size; a video has no true masks; the benchmark
            sets more than one task a video (JumpCut), so that masks must be in files.
    """
    rules = find(benchmark) if isinstance(benchmark, str) else benchmark
    if rules.frames == "transfers":
        raise UserError(f"{rules.title} sets several tasks a video: write the masks to files and score these")
    runs = _runs(rules, videos)
    measured = []
    for run in runs:
        measured.append(measuring.measure(rules, run, masks(run.video)))
        if progress is not None:
            progress(measured[-1].rows)
    return _scores(rules, runs, measured, method=method)


def benchmark_videos(
    benchmark: Benchmark,
    data_dir: str | Path | None,
    *,
    resolution: str | None = None,
    split: str | None = None,
    mask_values: Choice = None,
    **options,
) -> list[Video]:
    """The videos of a benchmark, with their part ("split1/...") before their name if it has parts.

    Arguments and errors as `score`.
    """
    if benchmark.dataset == "folder":  # the others say themselves what their masks mean
        options = {**options, "mask_values": mask_values}

    def load(name: str) -> list[Video]:
        return datasets.load(
            benchmark.dataset,
            name,
            data_dir=data_dir,
            resolution=resolution or benchmark.resolution,
            **{**benchmark.options, **options},
        )

    if not benchmark.parts:
        return load(split or benchmark.split)
    chosen = [(part, name) for part, name in benchmark.parts if split in (None, part, name)]
    if not chosen:
        raise UserError(
            f"{benchmark.title} has no split {split!r}: choose one of "
            f"{', '.join(part for part, _ in benchmark.parts)}, or give none for all of them"
        )
    return [replace(video, name=f"{part}/{video.name}") for part, name in chosen for video in load(name)]


def protocol(benchmark: Benchmark, defects: Sequence[str] = ()) -> str:
    """The name of the protocol that results carry, with the defects of the official tools that it repeats.

    Raises:
        UserError: there is no such defect.
    """
    for name in defects:
        if name not in DEFECTS:
            raise UserError(f"there is no defect {name!r} to repeat: choose one of {', '.join(DEFECTS)}")
    return "+".join((benchmark.protocol, *sorted(set(defects))))


def everything_foreground(video: Video) -> Masks:
    """The masks of the simplest baseline: every pixel of every frame is foreground."""
    for _ in range(video.length):
        yield np.ones(video.size, np.uint8)


def _runs(rules: Benchmark, videos: Sequence[Video]) -> list[Run]:
    if not videos:
        raise UserError(f"there are no videos to score in {rules.title}: check the data set and its split")
    return [run for video in videos for run in rules.runs(video)]


def _scores(
    rules: Benchmark,
    runs: Sequence[Run],
    measured: Sequence[Part],
    *,
    method: str,
    defects: tuple[str, ...] = (),
    actions: Actions | None = None,
    notes: tuple[str, ...] = (),
    made_of: dict[str, Any] | None = None,
) -> Scores:
    figures, found = aggregation.headline(rules, runs, measured, actions)
    return Scores(
        benchmark=rules.name,
        title=rules.title,
        protocol=protocol(rules, defects),
        rule="; ".join((rules.rule, *(f"as in the official tool, {DEFECTS[name]}" for name in defects))),
        average=rules.average,
        complete=not rules.partial and rules.is_complete(run.video for run in runs),
        method=method,
        metrics=rules.metrics,
        rows=tuple(row for part in measured for row in part.rows),
        figures=figures,
        notes=found + notes,
        defects=defects,
        provenance={
            "data": provenance.fingerprint(runs, [part.truth for part in measured]),
            "results": provenance.fingerprint(runs, [part.results for part in measured]),
            "model_card": None,
            "maps": None,
            "masks": {
                "truth": provenance.meanings(
                    runs, [part.truth_meaning for part in measured], f"by the rule of {rules.dataset}"
                ),
                "results": provenance.meanings(runs, [part.result_meaning for part in measured], "ids"),
            },
            "options": {},
            **(made_of or {}),
            "versions": provenance.versions(),
        },
    )
