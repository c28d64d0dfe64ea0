"""Somebody's results in files: where they are, whether they are whole, and the masks and maps one at a time.

Nothing in the folder but the masks and maps of scored frames is ever read (the official DAVIS tool takes CSV
files it finds there for its own), and nothing is written to it.
"""

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from vos3d_jax.data.video import Video
from vos3d_jax.errors import UserError
from vos3d_jax.evaluation.metrics.objects import MOST_PROPOSALS, object_count
from vos3d_jax.evaluation.parts import Ids, Map
from vos3d_jax.evaluation.problems import BadResult, Problem, refuse, refused
from vos3d_jax.evaluation.runs import Benchmark, Run, annotated
from vos3d_jax.media import encodings
from vos3d_jax.media.encodings import Choice, Levels, Meaning
from vos3d_jax.media.images import opened
from vos3d_jax.media.masks import VOID, StoredMask, UnfitMask, read_stored
from vos3d_jax.media.png import png_size

_JPEG = (".jpg", ".jpeg")


@dataclass(frozen=True)
class Results:
    """The folders of a method's results: of masks, and of soft maps (None: it gives none).

    `mask_values` says what to make of masks whose values cannot be told for certain (`encodings.decide`).
    """

    masks: Path
    maps: Path | None
    mask_values: Choice = None

    @classmethod
    def find(
        cls, folder: str | Path, maps: str | Path | None = None, mask_values: Choice = None
    ) -> "Results":
        """The results in a folder of masks, or in one that holds `masks` (and `maps`), as `main` writes it.

        Or that holds `Annotations`, as methods write YouTube-VOS', or `res`, as Codalab unpacks a submission.

        Raises:
            UserError: there is no such folder.
        """
        folder = Path(folder)
        if not folder.is_dir():
            raise UserError(f"{folder} is not a folder: expected <sequence>/00000.png in it")
        if maps is not None and not Path(maps).is_dir():
            raise UserError(f"{maps} is not a folder: expected soft maps <sequence>/00000.png in it")
        for masks in (folder / name for name in ("masks", "Annotations", "res")):
            if masks.is_dir() and any(path.is_dir() for path in masks.iterdir()):  # no video of that name
                inside = folder / "maps"
                return cls(masks, Path(maps) if maps else inside if inside.is_dir() else None, mask_values)
        return cls(folder, Path(maps) if maps else None, mask_values)

    def mask_path(self, run: Run, index: int) -> Path:
        """The file of a frame's mask."""
        return existing(self.masks / run.folder, run.video.frame_names[index])

    def map_path(self, run: Run, index: int) -> Path:
        """The file of a frame's soft map; only where there are maps."""
        return existing(self.maps / run.folder, run.video.frame_names[index])


def existing(folder: Path, name: str) -> Path:
    """The picture of a frame as it is called, in capitals or not; `<name>.png` where there is none."""
    usual = folder / f"{name}.png"
    others = (usual.with_name(name + ending) for ending in (".PNG", ".bmp", ".BMP"))
    return usual if usual.exists() else next((path for path in others if path.exists()), usual)


def only_present(results: Results, runs: Sequence[Run]) -> tuple[list[Run], str]:
    """The runs with the frames that have a mask, and what is left out in words.

    Raises:
        UserError: there is no mask of any of them.
    """
    kept = []
    for run in runs:
        scored = tuple(index for index in run.scored if results.mask_path(run, index).is_file())
        if scored:
            kept.append(replace(run, scored=scored))
    if not kept:
        check_files(results, runs)
    frames, there = (sum(len(run.scored) for run in chosen) for chosen in (runs, kept))
    names = [run.name for run in runs if run.name not in {run.name for run in kept}]
    without = f" (without {', '.join(names[:3])}{', ...' if len(names) > 3 else ''})" if names else ""
    return kept, (
        f"PARTIAL RESULTS: {frames - there} of {frames} frames have no mask and are left out; {len(kept)} of "
        f"{len(runs)} sequences are scored{without}"
    )


def check_files(results: Results, runs: Sequence[Run]) -> None:
    """Returns if every scored frame of the runs has a PNG of its size, by names and headers alone.

    Raises:
        UserError: not so; one message names the first offender, how many there are, and the mend.
    """
    problems = []
    for folder in filter(None, (results.masks, results.maps)):
        missing = list(dict.fromkeys(run.folder for run in runs if not (folder / run.folder).is_dir()))
        problems += [Problem("folder", str(folder / name), str(folder)) for name in missing]
    if problems:
        raise refused(problems, len({run.folder for run in runs}), "sequence")
    strange = [problem for run in runs for problem in _strange_names(results, run)]
    for path_of in filter(None, (results.mask_path, results.map_path if results.maps else None)):
        for run in runs:
            for index in run.scored:
                problem = _header_problem(path_of(run, index), run.video.size)
                problems += [problem] if problem else []
    refuse(problems + list(dict.fromkeys(strange)), runs)


def problems_of(results: Results, rules: Benchmark, run: Run) -> list[Problem]:
    """What is wrong with the pixels of a run's masks and maps, file by file; or with the masks together."""
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
    """The ids of a run's scored frames, None for its others; raises `BadResult` at the first that is bad.

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
    """What the values of all masks of a run mean; None: they are ids by the benchmark's rule.

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
    """The soft maps of a run's scored frames, likewise."""
    scored = frozenset(run.scored)
    for index in run.frames:
        yield read_map(results.map_path(run, index)) if index in scored else None


def allowed_ids(rules: Benchmark, run: Run) -> frozenset[int] | int | None:
    """The ids that a result may have, or the largest of them; None: any, as all are one object."""
    video = run.video
    if rules.objects == "merged":
        return None
    if rules.objects == "found":
        return MOST_PROPOSALS
    if rules.objects == "entering":
        return frozenset(video.meaning().ids if video.meaning is not None else _ids_of(video))
    truth = video.read_mask(run.first_mask or 0)
    return object_count(truth) if truth is not None else 0


def read_result(
    results: Results, path: Path, allowed: frozenset[int] | int | None, seen: list[Levels]
) -> Ids:
    """The ids of a result's mask, uint8 [h, w]; of merged objects any value but 0 is the object.

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
    """A soft map as 16 bits, uint16 [h, w]; 8-bit values are spread over them exactly (255 is 65535).

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


def map_bits(results: Results, runs: Sequence[Run]) -> str | None:
    """How deep the maps are by the first one's header, "8 bits" or "16 bits"; None without maps."""
    if results.maps is None:
        return None
    with opened(results.map_path(runs[0], runs[0].scored[0]), "a map") as image:
        return "16 bits" if image.mode.startswith("I") else "8 bits"


def _strange_names(results: Results, run: Run) -> list[Problem]:
    """The masks that are of no frame: numbers that begin elsewhere would be scored one frame off.

    Where the data have some of a video's frames alone (every fifth; none at the end of J-HMDB's clips), masks
    of the others are none the worse.
    """
    from vos3d_jax.data.readers import files  # of no use to the processes that score

    names = run.video.frame_names
    ends = [re.search("[0-9]+$", name) for name in names]
    numbers = [int(end[0]) for end in ends if end is not None]
    sparse = any(after - before != 1 for before, after in itertools.pairwise(numbers))
    if sparse or run.label is not None or not run.video.frames_known:
        return []
    found = files.files_by_stem(results.masks / run.folder, files.MASK_ENDINGS)
    known = frozenset(names)
    frames = f"{run.video.name}, whose frames are {names[0]} to {names[-1]}"
    return [Problem("name", str(found[name]), frames) for name in found if name not in known]


def _header_problem(path: Path, size: tuple[int, int]) -> Problem | None:
    try:
        kind, found = "PNG", png_size(path)
        if found is None:
            with opened(path, "a mask") as image:
                kind, found = image.format, (image.height, image.width)
    except FileNotFoundError:
        for ending in _JPEG:
            if path.with_suffix(ending).exists():
                return Problem("JPEG", str(path.with_suffix(ending)))
        return Problem("file", str(path))
    except (UserError, OSError):
        return Problem("damaged", str(path))
    if kind == "JPEG":
        return Problem("JPEG", str(path))
    if found != size:
        sizes = f"{found[1]}x{found[0]} but its frame is {size[1]}x{size[0]}"
        return Problem("size", str(path), sizes)
    return None


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
    path, found = str(mask.path), mask.counts.keys() - {0}
    fault = None if choice == "ids" else encodings.file_fault(mask)
    if fault is not None:
        raise BadResult.of(fault)
    # Black and white, where there is one object: object 1.
    if VOID in found and not (found == {VOID} and allowed in (None, frozenset([1]))):
        raise BadResult(Problem("void", path))
    if isinstance(allowed, int):
        raise BadResult(Problem("ids", path, f"{max(found)}, but {allowed} is the largest allowed"))
    if allowed is not None and not found - {VOID} <= allowed:
        strange, ids = min(found - allowed), ", ".join(map(str, sorted(allowed))) or "none"
        raise BadResult(Problem("ids", path, f"{strange}, but those of the true masks are {ids}"))
