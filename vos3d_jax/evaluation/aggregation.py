"""The headline figures of a benchmark from what its runs left, each averaged as the benchmark says.

Means as the official tools take them. Undefined values (T without an outline, JumpCut without an object) are
left out of means, and a note counts them.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from vos3d_jax.evaluation import metrics
from vos3d_jax.evaluation.actions import Actions
from vos3d_jax.evaluation.run_measures import RunMeasures, mean_saliency
from vos3d_jax.evaluation.runs import JUMPCUT_DISTANCES, Benchmark, Run
from vos3d_jax.evaluation.scores import Row

_FEW = 5  # names in a note
_STATISTICS = ("mean", "recall", "decay")


def headline(
    rules: Benchmark, runs: Sequence[Run], measured: Sequence[RunMeasures], actions: Actions | None = None
) -> tuple[dict[str, float], tuple[str, ...]]:
    """Returns (figures by name, notes) of a benchmark's runs, in the benchmark's order.

    Args:
        rules: the benchmark.
        runs: its runs.
        measured: what each left.
        actions: the scores of J-HMDB's classes by clip and frame; None: not given.
    """
    rows = [row for one in measured for row in one.rows]
    figures: dict[str, float] = {}
    notes: list[str] = []
    for metric in ("J", "F"):
        if metric in rules.metrics:
            figures |= {f"{metric} {name}": _mean(rules, rows, metric, name) for name in _STATISTICS}
    if {"J", "F"} <= set(rules.metrics):
        figures = {"J&F": (figures["J mean"] + figures["F mean"]) / 2, **figures}
    if rules.skips_absent:
        absent = [row.name for row in rows if all(np.isnan(values).all() for values in row.series.values())]
        if absent:
            notes.append(f"neither truth nor result has {_some(absent)} in a scored frame: left out")
    if "T" in rules.metrics:
        stable = [row for row in rows if not rules.stable or row.sequence in rules.stable]
        figures["T mean"] = _mean(rules, stable, "T", "mean")
        if not stable:
            notes.append("T is averaged over the stable sequences, of which none is here")
        elif undefined := _undefined(stable, "T"):
            notes.append(f"T of {undefined} stable sequences is not defined and left out")
    if "IoU" in rules.metrics:
        figures["IoU mean"] = _mean(rules, rows, "IoU", "mean")
        if rules.objects == "merged":
            frames, pixels = defaultdict(list), defaultdict(lambda: np.zeros(2, np.int64))
            for one in measured:
                for row in one.rows:
                    frames[row.group].extend(row.series["IoU"])
                pixels[one.rows[0].group] += one.pixels
            ious = [inside / union if union else 1.0 for inside, union in pixels.values()]
            figures["IoU of frames"] = metrics.group_means(frames.values()).over_groups
            figures["IoU of pixels"] = float(np.mean(ious))
    if "error" in rules.metrics:
        for distance in JUMPCUT_DISTANCES:
            chosen = [row for row in rows if row.group == f"distance {distance}"]
            figures[f"error d{distance}"] = _mean(rules, chosen, "error", "mean")
        if undefined := _undefined(rows, "error"):
            notes.append(f"the object is absent at the end of {undefined} transfers: left out")
    if "frame_map" in rules.metrics:
        if actions is None:
            notes.append("frame-mAP is left out: no <results>/<split>/actions.csv gives the actions' scores")
        else:
            figures["frame-mAP"] = _frame_map(runs, measured, actions)
    figures |= (of_maps := _of_maps(measured))
    if rules.takes_maps and not of_maps:
        notes.append("saliency measures and pooled F are left out: there are no soft maps")
    return figures, (*notes, *_about_objects(runs, measured))


def _about_objects(runs: Sequence[Run], measured: Sequence[RunMeasures]) -> Iterator[str]:
    """Notes on objects that enter late or not at all, and on results that equal the truth."""
    late = [entry for one in measured for entry in one.entering]
    for words, chosen in (
        ("objects that enter late are scored from the frame after", [one for one in late if one[2]]),
        ("objects that enter in the last frame are not scored", [one for one in late if not one[2]]),
    ):
        if chosen:
            yield f"{words}: {_some(f'{name} ({frame})' for name, frame, _ in chosen)}"
    empty = [
        run.video.name
        for run, one in zip(runs, measured, strict=False)
        if one.truth_meaning is not None and not one.truth_meaning.ids
    ]
    if empty:
        yield f"the true masks of {_some(empty)} hold no object"
    equal: dict[str, bool] = {}
    for row in (row for one in measured for row in one.rows):
        equal[row.sequence] = equal.get(row.sequence, True) and _equals_truth(row)
    same = [name for name, all_frames in equal.items() if all_frames]
    if same:
        yield f"the masks of {_some(same)} equal the true ones in every pixel: are they the same files?"


def _equals_truth(row: Row) -> bool:
    for metric, best in (("J", 1), ("IoU", 1), ("error", 0)):
        if {value for value in row.series.get(metric, ()) if not math.isnan(value)} == {best}:
            return True
    return False


def _some(names: Iterable[str]) -> str:
    names = list(names)
    return ", ".join(names[:_FEW]) + (f" and {len(names) - _FEW} more" if len(names) > _FEW else "")


def _of_maps(measured: Sequence[RunMeasures]) -> dict[str, float]:
    figures: dict[str, float] = {}
    saliency = mean_saliency(measured)
    if saliency is not None:
        figures |= {
            "max F": saliency.max_f,
            "mean F": saliency.mean_f,
            "adaptive F": saliency.adaptive_f,
            "weighted F": saliency.weighted_f,
            "S": saliency.s,
            "max E": saliency.max_e,
            "mean E": saliency.mean_e,
            "adaptive E": saliency.adaptive_e,
            "MAE": saliency.mae,
        }
    if levels := [one.levels for one in measured if len(one.levels)]:
        pooled = metrics.pooled_levels(sum(levels[1:], levels[0]))
        figures |= {"pooled F": pooled.max_f, "pooled MAE": pooled.mae}
    return figures


def _mean(rules: Benchmark, rows: Sequence[Row], metric: str, statistic: str) -> float:
    """The mean of the rows' statistics: over all rows (objects), or within sequences or groups first."""
    groups = defaultdict(list)
    for row in rows:
        key = {"objects": "", "sequences": row.sequence, "groups": row.group}[rules.average]
        groups[key].append(getattr(row.statistics(metric), statistic))
    return metrics.group_means(groups.values()).over_groups


def _frame_map(runs: Sequence[Run], measured: Sequence[RunMeasures], actions: Actions) -> float:
    """Frame-mAP as a fraction: of each split, then over splits."""
    values = []
    for group in dict.fromkeys(run.group for run in runs):
        truths: dict[str, dict] = defaultdict(dict)
        frames, scores, boxes = [], defaultdict(list), []
        for run, one in zip(runs, measured, strict=True):
            if run.group != group:
                continue
            of_clip = actions[run.folder]
            for frame, box, true in one.boxes:
                key = (run.folder, frame)
                truths[run.video.label][key] = np.array([true])
                if box is not None:
                    frames.append(key)
                    boxes.append(box)
                    for label, value in of_clip[frame if frame in of_clip else ""].items():
                        scores[label].append(value)
        table = np.array(boxes, np.float64).reshape(-1, 4)
        detections = {
            label: metrics.Detections(tuple(frames), np.array(scores[label], np.float64), table)
            for label in truths
        }
        values.append(metrics.frame_map(detections, truths)[0] / 100)
    return float(np.mean(values))


def _undefined(rows: Sequence[Row], metric: str) -> str:
    """Returns "2 of 5" where so many rows have no mean of a metric; "" where all have one."""
    count = sum(math.isnan(row.statistics(metric).mean) for row in rows)
    return f"{count} of {len(rows)}" if count else ""
