"""The masks and soft maps of somebody's results, one at a time: what their values mean, and whether they may.

A mask by itself must have the ids that its task allows, and all masks of a run one meaning.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from vos3d_jax.constants import VOID
from vos3d_jax.data.video import Video, annotated
from vos3d_jax.errors import UserError
from vos3d_jax.evaluation.metrics.objects import MOST_PROPOSALS, object_count
from vos3d_jax.evaluation.problems import BadResult, Problem
from vos3d_jax.evaluation.results_folder import Results
from vos3d_jax.evaluation.run_measures import Ids, Map
from vos3d_jax.evaluation.runs import Benchmark, Run
from vos3d_jax.media import encodings
from vos3d_jax.media.encodings import Choice, Levels, Meaning
from vos3d_jax.media.images import opened
from vos3d_jax.media.masks import StoredMask, UnfitMask, read_stored


def problems_of(results: Results, rules: Benchmark, run: Run) -> list[Problem]:
    """Returns what is wrong with the pixels of a run's masks and maps, file by file; or with all of them."""
    allowed, problems, seen = allowed_ids(rules, run), [], []
    for index in run.scored:
        try:
            read_result(results, results.mask_path(run, index), allowed, seen)
            if results.maps is not None and rules.takes_maps:
                read_map(results.map_path(run, index))
        except BadResult as error:
            problems.append(error.problem)
    if not problems:
        try:
            meaning_of(results, seen)
        except BadResult as error:
            problems.append(error.problem)
    return problems


def masks_of(results: Results, rules: Benchmark, run: Run, seen: list[Levels]) -> Iterator[Ids | None]:
    """Yields the ids of a run's scored frames, None for others; raises `BadResult` at the first that is bad.

    What is read is summed up in `seen`, for `meaning_of`.
    """
    allowed, scored = allowed_ids(rules, run), frozenset(run.scored)
    cut = None
    if allowed is None and results.mask_values == "half":  # whether there is anything to cut, all masks tell
        paths = [results.mask_path(run, index) for index in run.scored]
        cut = meaning_of(results, [encodings.levels(path, _stored(path)) for path in paths])
    for index in run.frames:
        if index in scored:
            ids = read_result(results, results.mask_path(run, index), allowed, seen)
            yield ids if cut is None else cut.ids_of(ids)
        else:
            yield None


def meaning_of(results: Results, seen: Sequence[Levels]) -> Meaning | None:
    """Returns what the values of all masks of a run mean; None: they are ids by the benchmark's rule.

    Raises:
        BadResult: they have no one meaning.
    """
    if not seen:
        return None
    white = all(mask.counts.keys() <= {0, VOID} for mask in seen)  # an object, as void is none of a result
    try:
        meaning = encodings.decide(seen, None if white else results.mask_values)
    except UnfitMask as fault:
        if fault.kind != "stray":
            raise BadResult.of(fault) from None
    else:
        if not meaning.void:
            return meaning
    raise BadResult(Problem("void", next(str(mask.path) for mask in seen if VOID in mask.counts)))


def maps_of(results: Results, run: Run) -> Iterator[Map | None]:
    """Yields the soft maps of a run's scored frames, likewise."""
    scored = frozenset(run.scored)
    for index in run.frames:
        yield read_map(results.map_path(run, index)) if index in scored else None


def allowed_ids(rules: Benchmark, run: Run) -> frozenset[int] | int | None:
    """Returns the ids that a result may have, or the largest of them; None: any, as all are one object."""
    video = run.video
    if rules.objects == "merged":
        return None
    if rules.objects == "found":
        return MOST_PROPOSALS
    if rules.objects == "entering":
        return frozenset(video.meaning().ids if video.meaning is not None else _ids_of(video))
    truth = video.read_mask(run.frames[0])
    return object_count(truth) if truth is not None else 0


def read_result(
    results: Results, path: Path, allowed: frozenset[int] | int | None, seen: list[Levels]
) -> Ids:
    """Returns the ids of a result's mask, uint8 [h, w]; of merged objects any value but 0 is the object.

    What decides over all masks of a run together is appended to `seen`.

    Raises:
        BadResult: it has colours, soft edges, void or ids that are not `allowed`, or is damaged.
    """
    mask = _stored(path)
    if isinstance(allowed, int) and int(mask.values.max(initial=0)) <= allowed:
        return mask.values
    counted = encodings.levels(path, mask)
    if allowed is not None or results.mask_values != "half":
        _require_ids(counted, allowed, results.mask_values)
    seen.append(counted)
    return (mask.values != 0).view(np.uint8) if VOID in counted.counts and allowed else mask.values


def read_map(path: Path) -> Map:
    """Returns a soft map as 16 bits, uint16 [h, w]; 8-bit values are spread over them exactly (255 is 65535).

    Raises:
        BadResult: it is no grey PNG of 8 or 16 bits, or is damaged.
    """
    try:
        with opened(path, "a map") as image:
            values, mode = np.array(image), image.mode
    except UserError:  # not by OpenCV, whose libpng writes to the terminal
        raise BadResult(Problem("damaged", str(path))) from None
    if mode == "L":
        return values.astype(np.uint16) * 257
    if not mode.startswith("I"):
        raise BadResult(Problem("map", str(path), f"it has the image mode {mode}"))
    return values.astype(np.uint16)


def _stored(path: Path) -> StoredMask:
    try:
        return read_stored(path)
    except UnfitMask as fault:
        raise BadResult.of(fault) from None
    except UserError:
        raise BadResult(Problem("damaged", str(path))) from None


def _ids_of(video: Video) -> Iterator[int]:
    for index in annotated(video):
        yield from set(np.unique(video.read_mask(index)).tolist()) - {0, VOID}


def _require_ids(mask: Levels, allowed: frozenset[int] | int | None, choice: Choice) -> None:
    """Raises `BadResult` where something is wrong with a mask by itself."""
    path, values = str(mask.path), mask.counts.keys() - {0}
    fault = None if choice == "ids" else encodings.file_fault(mask)
    if fault is not None:
        raise BadResult.of(fault)
    # Black and white, where there is one object: object 1.
    if VOID in values and not (values == {VOID} and allowed in (None, frozenset([1]))):
        raise BadResult(Problem("void", path))
    if isinstance(allowed, int):
        raise BadResult(Problem("ids", path, f"{max(values)}, but {allowed} is the largest allowed"))
    if allowed is not None and not values - {VOID} <= allowed:
        strange, ids = min(values - allowed), ", ".join(map(str, sorted(allowed))) or "none"
        raise BadResult(Problem("ids", path, f"{strange}, but those of the true masks are {ids}"))
