"""Measures a method's answer to one run, frame by frame, whoever gives it, in bounded memory.

Which metric sees what is the benchmark's; only T follows its own rule in every protocol: the results without
the first and the last frame, after the true mask of the first.
"""

import hashlib
import math
from collections.abc import Iterable, Iterator

import numpy as np

from vos3d_jax.constants import VOID
from vos3d_jax.errors import UserError
from vos3d_jax.evaluation import metrics
from vos3d_jax.evaluation.parts import MAP_LEVELS, SALIENCY, Box, Ids, Map, Part
from vos3d_jax.evaluation.runs import MAP_METRICS, Benchmark, Run
from vos3d_jax.evaluation.scores import Row
from vos3d_jax.media.encodings import Meaning

_TO_8_BITS = 257  # 65535 / 255


def measure(
    rules: Benchmark,
    run: Run,
    masks: Iterable[Ids | None],
    maps: Iterable[Map | None] | None = None,
    defects: tuple[str, ...] = (),
) -> Part:
    """What a method's answer to a run is worth.

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
        rows, entering = _entering_rows(run, pairs, defects)
        return Part(rows, *pairs.fingerprints(), truth_meaning=_meaning(run), entering=entering)
    if rules.objects != "merged":
        rows = _object_rows(rules, run, pairs, defects)
        return Part(rows, *pairs.fingerprints(), truth_meaning=_meaning(run))
    meters = _Meters(rules, run, measure_maps=maps is not None)
    for index, found, truth, soft in pairs:
        meters.add(index, found, truth, soft)
    return Part(
        (_row(run, run.name, meters.series, pairs.names, defects),),
        *pairs.fingerprints(),
        images=meters.images,
        saliency=meters.saliency,
        levels=meters.levels,
        boxes=tuple(meters.boxes),
        pixels=meters.pixels,
        truth_meaning=_meaning(run),
    )


def _meaning(run: Run) -> Meaning | None:
    return None if run.video.meaning is None else run.video.meaning()


def truth_fingerprint(rules: Benchmark, run: Run) -> str:
    """The fingerprint of the true masks that a run is scored against: `Part.truth` of its part."""
    digest = _begun_truth_digest(rules, run)
    for index in run.scored:
        truth = run.video.read_mask(index)
        if truth is not None:
            _update(digest, run.video.frame_names[index], truth)
    return digest.hexdigest()


class _Pairs:
    """Iterates over (index, mask, truth, map) of a run's scored frames, checked, and fingerprints them."""

    def __init__(self, rules: Benchmark, run: Run, masks: Iterable, maps: Iterable | None):
        self.names = tuple(run.video.frame_names[index] for index in run.scored)
        self._truth_digest, self._results_digest = _begun_truth_digest(rules, run), hashlib.sha256()
        self._rules, self._run, self._masks, self._maps = rules, run, iter(masks), maps and iter(maps)

    def __iter__(self) -> Iterator[tuple[int, np.ndarray, np.ndarray, np.ndarray | None]]:
        run, video = self._run, self._run.video
        scored = frozenset(run.scored)
        done = 0
        for index, found in zip(run.frames, self._masks, strict=False):
            done += 1
            soft = None if self._maps is None else next(self._maps)
            if index not in scored:
                continue
            where = f"{video.name} {video.frame_names[index]}"
            truth = video.read_mask(index)
            if truth is None:
                raise UserError(f"the frame {where} has no true mask: add it, or remove the frame")
            if found is None:
                raise UserError(f"there is no mask for {where}: give one a frame")
            for what, array in (("mask", found), ("map", soft)):
                if array is not None and array.shape != truth.shape:
                    raise _wrong_size(f"the {what} of {where}", array.shape, truth.shape)
            merged = self._rules.objects == "merged"
            if merged:
                found = (found != 0).view(np.uint8)
            name = video.frame_names[index]
            _update(self._truth_digest, name, truth)
            _update(self._results_digest, name, np.packbits(found) if merged else found)
            if soft is not None:
                _update(self._results_digest, name, soft)
            yield index, found, truth, soft
        if done < len(run.frames) or next(self._masks, run) is not run:
            amount = f"only {done}" if done < len(run.frames) else "more"
            raise UserError(f"{video.name} has {len(run.frames)} frames but {amount} masks: give one a frame")

    def fingerprints(self) -> tuple[str, str]:
        """Those of truth and results, when all frames are through."""
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
        self.boxes: list[tuple[str, Box | None, Box]] = []
        self._shape, self._last = None, 0
        self._entered = not rules.skips_absent
        if "T" in self._metrics:
            first = run.video.read_mask(0)
            self._shape = None if first is None else metrics.outline_shape(first != 0)

    def add(self, index: int, found: np.ndarray, truth: np.ndarray, soft: np.ndarray | None) -> None:
        """Counts one frame in."""
        asked, series = self._metrics, self.series
        self._entered = self._entered or bool(found.any() or truth.any())
        if not self._entered:
            for values in series.values():
                values.append(math.nan)
            return
        void = truth == VOID if self._rules.void else None
        if self._rules.largest_region:
            found = metrics.largest_region(found)
        if "J" in asked and "F" in asked:
            j, f = metrics.j_and_f(found, truth, void)
            series["J"].append(j)
            series["F"].append(f)
        elif "J" in asked:
            series["J"].append(metrics.region_similarity(found, truth, void))
        elif "F" in asked:
            series["F"].append(metrics.boundary_f(found, truth, void))
        if "IoU" in asked:
            intersection, union = metrics.region_counts(found, truth, void)
            series["IoU"].append(intersection / union if union else 1.0)
            self.pixels = (self.pixels[0] + intersection, self.pixels[1] + union)
        if "error" in asked:
            series["error"].append(metrics.jumpcut_error(found, truth))
        if "T" in asked and 0 < index < self._run.video.length - 1:
            shape = metrics.outline_shape(found)
            next_to_it = index == self._last + 1  # not so where frames have no mask (partial results)
            series["T"].append(metrics.shape_change(self._shape, shape) if next_to_it else math.nan)
            self._shape, self._last = shape, index
        if "frame_map" in asked:
            self._add_boxes(index, found, truth)
        if "saliency" in asked:
            rounded = np.round(soft / _TO_8_BITS).astype(np.uint8)
            image = metrics.image_saliency(rounded, np.where(truth != 0, np.uint8(255), np.uint8(0)))
            values = np.concatenate([np.atleast_1d(getattr(image, name)) for name in SALIENCY])
            self.saliency = self.saliency + values if self.images else values
            self.images += 1
        if "pooled" in asked:
            keys = soft.astype(np.int64) * 2 + (truth != 0)
            self.levels += np.bincount(keys.ravel(), minlength=2 * MAP_LEVELS).reshape(MAP_LEVELS, 2)

    def _add_boxes(self, index: int, found: np.ndarray, truth: np.ndarray) -> None:
        rows, columns = np.flatnonzero(truth.any(1)), np.flatnonzero(truth.any(0))
        if rows.size:
            true = tuple(int(place) for place in (columns[0], rows[0], columns[-1], rows[-1]))
            self.boxes.append((self._run.video.frame_names[index], metrics.mask_box(found), true))


def _object_rows(rules: Benchmark, run: Run, pairs: _Pairs, defects: tuple[str, ...]) -> tuple[Row, ...]:
    """One row an object of the first true mask, its ids those of the result or assigned to its proposals."""
    index = _first(run)
    first = run.video.read_mask(index)
    if first is None:
        raise UserError(f"the frame {run.video.name} {run.video.frame_names[index]} has no true mask: add it")
    count = metrics.object_count(first)
    if not count:
        raise UserError(
            f"the first true mask of {run.video.name} ({run.video.frame_names[index]}) has no objects, so "
            "there is nothing to score: leave the video out"
        )
    frames = ((found, truth) for _, found, truth, _ in pairs)
    try:
        if "IoU" in rules.metrics:
            values = metrics.object_ious(_allowed(frames, count, run.name), count)
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
) -> tuple[tuple[Row, ...], tuple[tuple[str, str, bool], ...]]:
    """One row an id that occurs in the truth, from the frame after it enters; and those that enter late."""
    video, names = run.video, pairs.names
    frames = ((found, truth) for _, found, truth, _ in pairs)
    try:
        scored = metrics.entering(frames, video.read_mask(run.first_mask), run.name)
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
    return tuple(rows), tuple(entering)


def _allowed(frames: Iterable[tuple[Ids, Ids]], count: int, name: str) -> Iterator[tuple[Ids, Ids]]:
    for found, truth in frames:
        largest = int(found.max(initial=0))
        if largest > count:
            raise ValueError(f"{name} has the object id {largest} but {count} is the largest allowed")
        yield found, truth


def _row(run: Run, name: str, series: dict, frames: tuple[str, ...], defects: tuple[str, ...]) -> Row:
    return Row(
        name=name,
        sequence=run.video.name,
        group=run.group,
        size=run.video.size,
        frames=frames,
        series={metric: tuple(map(float, values)) for metric, values in series.items()},
        defects=defects,
    )


def _wrong_size(what: str, size: tuple[int, ...], frame_size: tuple[int, ...]) -> UserError:
    """The error of a mask that has another size than its frame."""
    return UserError(
        f"{what} is {size[1]}x{size[0]} but its frame is {frame_size[1]}x{frame_size[0]}: "
        "resize the mask with nearest neighbour"
    )


def _begun_truth_digest(rules: Benchmark, run: Run):
    """The digest after the true masks that are used but not scored: T begins with one, one has the ids."""
    digest = hashlib.sha256()
    used = {0} if rules.frames == "inner" else set()
    if rules.objects != "merged":
        used.add(_first(run))
    for index in sorted(used - set(run.scored)):
        truth = run.video.read_mask(index)
        if truth is not None:
            _update(digest, run.video.frame_names[index], truth)
    return digest


def _first(run: Run) -> int:
    """The frame whose true mask says how many objects there are."""
    return run.frames[0] if run.first_mask is None else run.first_mask


def _update(digest, name: str, ids: np.ndarray) -> None:
    digest.update(f"{name} {ids.shape}".encode())
    digest.update(np.ascontiguousarray(ids))
