"""Measures a method's answer to one run, frame by frame, whoever gives it, in bounded memory.

Which metric sees what is the benchmark's; only T follows its own rule in every protocol: the results without
the first and the last frame, after the true mask of the first.
"""

import hashlib
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from vos3d_jax.constants import VOID
from vos3d_jax.errors import UserError
from vos3d_jax.evaluation import metrics
from vos3d_jax.evaluation.run_measures import MAP_LEVELS, SALIENCY, Box, Ids, Map, RunMeasures
from vos3d_jax.evaluation.runs import MAP_METRICS, Benchmark, Run
from vos3d_jax.evaluation.scores import Row

_TO_8_BITS = 257  # 65535 / 255


def measure(
    rules: Benchmark,
    run: Run,
    masks: Iterable[Ids | None],
    maps: Iterable[Map | None] | None = None,
    defects: tuple[str, ...] = (),
) -> RunMeasures:
    """Returns what a method's answer to a run is worth.

    Args:
        rules: the benchmark.
        run: the task.
        masks: its ids, one mask for each of `run.frames`, in order; None may stand for one not scored.
        maps: its soft maps of 16 bits likewise, 65535 is sure of foreground; None: what needs maps is left
            out.
        defects: names of `scores.DEFECTS` to repeat.

    Raises:
        UserError: masks or true masks are missing, too many, of another size, or have more ids than allowed.
    """
    pairs = _Pairs(rules, run, masks, maps)
    if rules.objects == "entering":
        rows, beside = _entering_rows(run, pairs, defects)
    elif rules.objects != "merged":
        rows, beside = _object_rows(rules, run, pairs, defects), {}
    else:
        meters = _Meters(rules, run, measure_maps=maps is not None)
        for index, mask, truth, soft in pairs:
            meters.add(index, mask, truth, soft)
        rows, beside = (_row(run, run.name, meters.series, pairs.names, defects),), meters.totals()
    meaning = None if run.video.meaning is None else run.video.meaning()
    return RunMeasures(rows, *pairs.fingerprints(), truth_meaning=meaning, **beside)


def truth_fingerprint(rules: Benchmark, run: Run) -> str:
    """Returns the fingerprint of the true masks that a run is scored against: `RunMeasures.truth`."""
    return _truth_digest(rules, run, run.scored).hexdigest()


class _Pairs:
    """Iterates over (index, mask, truth, map) of a run's scored frames, checked, and fingerprints them."""

    def __init__(self, rules: Benchmark, run: Run, masks: Iterable, maps: Iterable | None):
        self.names = tuple(run.video.frame_names[index] for index in run.scored)
        self._truth_digest, self._results_digest = _truth_digest(rules, run), hashlib.sha256()
        self._rules, self._run, self._masks, self._maps = rules, run, iter(masks), maps and iter(maps)

    def __iter__(self) -> Iterator[tuple[int, np.ndarray, np.ndarray, np.ndarray | None]]:
        run, video = self._run, self._run.video
        scored = frozenset(run.scored)
        done = 0
        for index, mask in zip(run.frames, self._masks, strict=False):
            done += 1
            soft = None if self._maps is None else next(self._maps)
            if index not in scored:
                continue
            where = f"{video.name} {video.frame_names[index]}"
            truth = video.read_mask(index)
            if truth is None:
                raise UserError(f"the frame {where} has no true mask: add it, or remove the frame")
            if mask is None:
                raise UserError(f"there is no mask for {where}: give one a frame")
            for what, array in (("mask", mask), ("map", soft)):
                if array is not None and array.shape != truth.shape:
                    (height, width), (rows, columns) = array.shape[:2], truth.shape
                    raise UserError(
                        f"the {what} of {where} is {width}x{height} but its frame is {columns}x{rows}: "
                        "resize the mask with nearest neighbour"
                    )
            merged = self._rules.objects == "merged"
            if merged:
                mask = (mask != 0).view(np.uint8)
            name = video.frame_names[index]
            _update(self._truth_digest, name, truth)
            _update(self._results_digest, name, np.packbits(mask) if merged else mask)
            if soft is not None:
                _update(self._results_digest, name, soft)
            yield index, mask, truth, soft
        if done < len(run.frames) or next(self._masks, run) is not run:
            amount = f"only {done}" if done < len(run.frames) else "more"
            raise UserError(f"{video.name} has {len(run.frames)} frames but {amount} masks: give one a frame")

    def fingerprints(self) -> tuple[str, str]:
        """Returns those of truth and results, when all frames are through."""
        return self._truth_digest.hexdigest(), self._results_digest.hexdigest()


class _Meters:
    """All that is measured of merged objects, frame by frame."""

    def __init__(self, rules: Benchmark, run: Run, measure_maps: bool):
        self._rules, self._run = rules, run
        self._metrics = rules.metrics_of(run.video) - (frozenset() if measure_maps else MAP_METRICS)
        self.series = {name: [] for name in ("J", "F", "IoU", "error", "T") if name in self._metrics}
        self.images = 0
        self.saliency = np.zeros(0)
        levels = MAP_LEVELS if "pooled" in self._metrics else 0
        self.levels = np.zeros((levels, 2), np.int64)
        self.pixels = (0, 0)
        self.boxes: tuple[tuple[str, Box | None, Box], ...] = ()
        self._shape, self._last = None, 0
        self._entered = not rules.skips_absent
        if "T" in self._metrics:
            first = run.video.read_mask(0)
            self._shape = None if first is None else metrics.outline_shape(first != 0)

    def add(self, index: int, mask: np.ndarray, truth: np.ndarray, soft: np.ndarray | None) -> None:
        """Counts one frame in."""
        asked, series = self._metrics, self.series
        self._entered = self._entered or bool(mask.any() or truth.any())
        if not self._entered:
            for values in series.values():
                values.append(math.nan)
            return
        void = truth == VOID if self._rules.void else None
        if self._rules.largest_region:
            mask = metrics.largest_region(mask)
        if "J" in asked and "F" in asked:
            j, f = metrics.j_and_f(mask, truth, void)
            series["J"].append(j)
            series["F"].append(f)
        elif "J" in asked:
            series["J"].append(metrics.region_similarity(mask, truth, void))
        elif "F" in asked:
            series["F"].append(metrics.boundary_f(mask, truth, void))
        if "IoU" in asked:
            intersection, union = metrics.region_counts(mask, truth, void)
            series["IoU"].append(intersection / union if union else 1.0)
            self.pixels = (self.pixels[0] + intersection, self.pixels[1] + union)
        if "error" in asked:
            series["error"].append(metrics.jumpcut_error(mask, truth))
        if "T" in asked and 0 < index < self._run.video.length - 1:
            shape = metrics.outline_shape(mask)
            next_to_it = index == self._last + 1  # not so where frames have no mask (partial results)
            series["T"].append(metrics.shape_change(self._shape, shape) if next_to_it else math.nan)
            self._shape, self._last = shape, index
        if "frame_map" in asked:
            self._add_boxes(index, mask, truth)
        if "saliency" in asked:
            rounded = np.round(soft / _TO_8_BITS).astype(np.uint8)
            image = metrics.image_saliency(rounded, np.where(truth != 0, np.uint8(255), np.uint8(0)))
            values = np.concatenate([np.atleast_1d(getattr(image, name)) for name in SALIENCY])
            self.saliency = self.saliency + values if self.images else values
            self.images += 1
        if "pooled" in asked:
            keys = soft.astype(np.int64) * 2 + (truth != 0)
            self.levels += np.bincount(keys.ravel(), minlength=2 * MAP_LEVELS).reshape(MAP_LEVELS, 2)

    def totals(self) -> dict[str, Any]:
        """Returns the sums and boxes of all frames, as fields of `RunMeasures`."""
        return {name: getattr(self, name) for name in ("images", "saliency", "levels", "boxes", "pixels")}

    def _add_boxes(self, index: int, mask: np.ndarray, truth: np.ndarray) -> None:
        rows, columns = np.flatnonzero(truth.any(1)), np.flatnonzero(truth.any(0))
        if rows.size:
            true = tuple(int(place) for place in (columns[0], rows[0], columns[-1], rows[-1]))
            self.boxes += ((self._run.video.frame_names[index], metrics.mask_box(mask), true),)


def _object_rows(rules: Benchmark, run: Run, pairs: _Pairs, defects: tuple[str, ...]) -> tuple[Row, ...]:
    """One row an object of the first true mask, its ids those of the result or assigned to its proposals."""
    index = run.frames[0]
    first = run.video.read_mask(index)
    if first is None:
        raise UserError(f"the frame {run.video.name} {run.video.frame_names[index]} has no true mask: add it")
    count = metrics.object_count(first)
    if not count:
        raise UserError(
            f"the first true mask of {run.video.name} ({run.video.frame_names[index]}) has no objects, so "
            "there is nothing to score: leave the video out"
        )
    frames = ((mask, truth) for _, mask, truth, _ in pairs)
    try:
        if "IoU" in rules.metrics:
            values = metrics.object_ious(frames, count, run.name)
            series = [{"IoU": ious} for ious in values]
        else:
            if rules.objects == "given":
                scored = metrics.semi_supervised(frames, count, run.name)
            else:
                order = "assigned_order" in defects
                scored = metrics.unsupervised(frames, count, run.name, official_order=order)
            both = [{"J": one.j_frames, "F": one.f_frames} for one in scored]
            series = [{name: values[name] for name in rules.metrics} for values in both]
    except ValueError as error:
        raise UserError(f"{error}: write the ids of the true masks") from None
    return tuple(
        _row(run, f"{run.name}_{number}", values, pairs.names, defects)
        for number, values in enumerate(series, 1)
    )


def _entering_rows(
    run: Run, pairs: _Pairs, defects: tuple[str, ...]
) -> tuple[tuple[Row, ...], dict[str, Any]]:
    """One row an id that occurs in the truth, from the frame after it enters; and those that enter late."""
    video, names = run.video, pairs.names
    frames = ((mask, truth) for _, mask, truth, _ in pairs)
    try:
        scored = metrics.entering(frames, video.read_mask(run.frames[0]), run.name)
    except ValueError as error:
        raise UserError(f"{error}: write the ids of the true masks") from None
    rows, entering = [], []
    for one in scored:
        name, start = f"{run.name}_{one.object_id}", len(names) - len(one.j_frames)
        if start:
            entering.append((name, names[start - 1], start < len(names)))
        if start < len(names):
            series = {"J": one.j_frames, "F": one.f_frames}
            rows.append(_row(run, name, series, names[start:], defects))
    if not rows:
        raise UserError(
            f"the true masks of {video.name} have no object before the last ({names[-1]}), so there is "
            "nothing to score: leave the video out"
        )
    return tuple(rows), {"entering": tuple(entering)}


def _row(run: Run, name: str, series: dict, frames: tuple[str, ...], defects: tuple[str, ...]) -> Row:
    return Row(name, run.video.name, run.group, run.video.size, frames, series, defects)


def _truth_digest(rules: Benchmark, run: Run, scored: Sequence[int] = ()):
    """The digest of true masks used but not scored (T begins with one, one has the ids), then of `scored`."""
    digest = hashlib.sha256()
    used = {0} if rules.frames == "inner" else set()
    if rules.objects != "merged":
        used.add(run.frames[0])
    for index in (*sorted(used - set(run.scored)), *scored):
        truth = run.video.read_mask(index)
        if truth is not None:
            _update(digest, run.video.frame_names[index], truth)
    return digest


def _update(digest, name: str, ids: np.ndarray) -> None:
    digest.update(f"{name} {ids.shape}".encode())
    digest.update(np.ascontiguousarray(ids))
