"""Somebody's results in files: where they are, what is wrong with them, and the masks and maps one at a time.

Nothing in the folder but the masks and maps of scored frames is ever read (the official DAVIS tool takes CSV
files it finds there for its own), and nothing is written to it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from vos3d_jax.errors import UserError
from vos3d_jax.evaluation.metrics.objects import MOST_PROPOSALS, object_count
from vos3d_jax.evaluation.parts import Ids, Map
from vos3d_jax.evaluation.runs import Benchmark, Run
from vos3d_jax.media.masks import VOID, read_ids
from vos3d_jax.media.png import png_size

_FEW = 20  # more grey levels than that are no object ids
_JPEG = (".jpg", ".jpeg")
_BROKEN = (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError)

# What can be wrong with a file, the most basic first: what is said of the first offender, and the mend.
_KINDS = {
    "folder": (
        "{path} is not a folder",
        "write the masks of each {unit} to <results>/<{unit}>/<frame>.png (to score a part of the benchmark,"
        " see --split in docs/scoring.md)",
    ),
    "JPEG": ("{path} is a JPEG, which blurs ids", "write the masks as palette or grey PNG"),
    "file": ("{path} is missing", "write a PNG for each frame that is scored"),
    "damaged": ("{path} cannot be read as a picture", "make these files again"),
    "size": ("{path} is {detail}", "resize the masks with nearest neighbour"),
    "mode": ("{path} has the image mode {detail}", "save the masks as palette or grey PNG with 8 bits"),
    "colours": (
        "{path} has colours instead of ids",
        "save the masks as palette or grey PNG whose pixel values are the object ids 0, 1, 2, ...",
    ),
    "soft edges": (
        "{path} has {detail} grey levels, so its edges are soft",
        "threshold the masks in the middle and write 0 and 1 (or ids)",
    ),
    "void": (
        "{path} has pixels of 255, which is void and no object",
        "write object ids, and 0 where there is none",
    ),
    "ids": ("{path} has the object id {detail}", "write the ids of the true masks, or fewer proposals"),
    "map": ("{path} is no map: {detail}", "write the maps as grey PNG of 8 or 16 bits"),
}


@dataclass(frozen=True)
class Problem:
    """What is wrong with a file (or folder): a key of `_KINDS`, and what the message says of it."""

    kind: str
    path: str
    detail: str = ""


@dataclass(frozen=True)
class Results:
    """The folders of a method's results: of masks, and of soft maps (None: it gives none)."""

    masks: Path
    maps: Path | None

    @classmethod
    def find(cls, folder: str | Path, maps: str | Path | None = None) -> "Results":
        """The results in a folder of masks, or in one that holds `masks` (and `maps`), as `main` writes it.

        Raises:
            UserError: there is no such folder.
        """
        folder = Path(folder)
        if not folder.is_dir():
            raise UserError(f"{folder} is not a folder: expected <sequence>/00000.png in it")
        if maps is not None and not Path(maps).is_dir():
            raise UserError(f"{maps} is not a folder: expected soft maps <sequence>/00000.png in it")
        masks = folder / "masks"
        if masks.is_dir() and any(path.is_dir() for path in masks.iterdir()):  # no video of that name
            inside = folder / "maps"
            return cls(masks, Path(maps) if maps else inside if inside.is_dir() else None)
        return cls(folder, Path(maps) if maps else None)

    def mask_path(self, run: Run, index: int) -> Path:
        """The file of a frame's mask."""
        return self.masks / run.folder / f"{run.video.frame_names[index]}.png"

    def map_path(self, run: Run, index: int) -> Path:
        """The file of a frame's soft map; only where there are maps."""
        return self.maps / run.folder / f"{run.video.frame_names[index]}.png"


class BadResult(Exception):
    """A mask or map that cannot be scored; `problem` says why."""

    def __init__(self, problem: Problem):
        super().__init__(problem.path)
        self.problem = problem


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
        raise _refused(problems, len({run.folder for run in runs}), "sequence")
    for path_of in filter(None, (results.mask_path, results.map_path if results.maps else None)):
        for run in runs:
            for index in run.scored:
                problem = _header_problem(path_of(run, index), run.video.size)
                problems += [problem] if problem else []
    refuse(problems, runs)


def refuse(problems: Sequence[Problem], runs: Sequence[Run]) -> None:
    """Returns if there are no problems.

    Raises:
        UserError: there are; the message is of the most basic kind.
    """
    if problems:
        raise _refused(problems, sum(len(run.scored) for run in runs), "frame")


def problems_of(results: Results, rules: Benchmark, run: Run) -> list[Problem]:
    """What is wrong with the pixels of a run's masks and maps, file by file."""
    allowed, problems = allowed_ids(rules, run), []
    for index in run.scored:
        try:
            read_result(results.mask_path(run, index), rules, allowed)
            if results.maps is not None and rules.takes_maps:
                read_map(results.map_path(run, index))
        except BadResult as error:
            problems.append(error.problem)
    return problems


def masks_of(results: Results, rules: Benchmark, run: Run) -> Iterator[Ids | None]:
    """The ids of a run's scored frames, None for its others; raises `BadResult` at the first that is bad."""
    allowed, scored = allowed_ids(rules, run), frozenset(run.scored)
    for index in run.frames:
        yield read_result(results.mask_path(run, index), rules, allowed) if index in scored else None


def maps_of(results: Results, run: Run) -> Iterator[Map | None]:
    """The soft maps of a run's scored frames, likewise."""
    scored = frozenset(run.scored)
    for index in run.frames:
        yield read_map(results.map_path(run, index)) if index in scored else None


def allowed_ids(rules: Benchmark, run: Run) -> int | None:
    """The largest id that a result may have; None: any, as all are one object."""
    if rules.objects == "merged":
        return None
    if rules.objects == "found":
        return MOST_PROPOSALS
    truth = run.video.read_mask(run.first_mask or 0)
    return object_count(truth) if truth is not None else None


def read_result(path: Path, rules: Benchmark, allowed: int | None) -> Ids:
    """The ids of a result's mask, uint8 [h, w]; of merged objects any value but 0 is the object.

    Raises:
        BadResult: it has colours, soft edges, void or more ids than `allowed`, or is damaged.
    """
    try:
        ids = read_ids(path)
    except UserError:
        raise BadResult(_unreadable(path)) from None
    largest = int(ids.max(initial=0))
    if allowed is None:
        # One value for the object, whichever: then this is its sum. Nearly all masks end here.
        fine = cv2.sumElems(ids)[0] == largest * cv2.countNonZero(ids)
    else:
        fine = largest <= allowed
    if fine:
        return ids
    problem = _id_problem(path, ids, largest, allowed)
    if problem is not None:
        raise BadResult(problem)
    return ids


def read_map(path: Path) -> Map:
    """A soft map as 16 bits, uint16 [h, w]; 8-bit values are spread over them exactly (255 is 65535).

    Raises:
        BadResult: it is no grey PNG of 8 or 16 bits, or is damaged.
    """
    try:
        with Image.open(path) as image:
            values, mode = np.array(image), image.mode
    except _BROKEN:  # not by OpenCV, whose libpng writes to the terminal
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
    with Image.open(results.map_path(runs[0], runs[0].scored[0])) as image:
        return "16 bits" if image.mode.startswith("I") else "8 bits"


def _header_problem(path: Path, size: tuple[int, int]) -> Problem | None:
    try:
        kind, found = "PNG", png_size(path)
        if found is None:
            with Image.open(path) as image:
                kind, found = image.format, (image.height, image.width)
    except FileNotFoundError:
        for ending in _JPEG:
            if path.with_suffix(ending).exists():
                return Problem("JPEG", str(path.with_suffix(ending)))
        return Problem("file", str(path))
    except _BROKEN:
        return Problem("damaged", str(path))
    if kind == "JPEG":
        return Problem("JPEG", str(path))
    if found != size:
        sizes = f"{found[1]}x{found[0]} but its frame is {size[1]}x{size[0]}"
        return Problem("size", str(path), sizes)
    return None


def _unreadable(path: Path) -> Problem:
    """Why a file gives no ids."""
    try:
        with Image.open(path) as image:
            image.load()
            mode = image.mode
    except _BROKEN:
        return Problem("damaged", str(path))
    return Problem("colours" if mode in ("RGB", "RGBA") else "mode", str(path), mode)


def _id_problem(path: Path, ids: np.ndarray, largest: int, allowed: int | None) -> Problem | None:
    """What is wrong with ids of which the largest is more than expected."""
    levels = np.flatnonzero(cv2.calcHist([ids], [0], None, [256], [0, 256])[1:]) + 1
    if allowed is None and levels.size <= _FEW and largest < VOID:
        return None
    with Image.open(path) as image:
        grey = image.mode != "P"
    between = ((levels > _FEW) & (levels < VOID)).any()
    if grey and (levels.size > _FEW or (largest == VOID and between)):
        return Problem("soft edges", str(path), str(levels.size))
    if largest == VOID:
        return Problem("void", str(path))
    if allowed is None:
        return None
    return Problem("ids", str(path), f"{largest}, but {allowed} is the largest allowed")


def _refused(problems: Sequence[Problem], total: int, unit: str) -> UserError:
    kind = next(kind for kind in _KINDS if any(problem.kind == kind for problem in problems))
    chosen = [problem for problem in problems if problem.kind == kind]
    first = chosen[0]
    what, mend = _KINDS[kind]
    said = what.format(path=first.path, detail=first.detail)
    count = "the only one" if len(chosen) == 1 else f"the first of {len(chosen)}"
    others = ""
    if kind in ("folder", "file") and len(chosen) == total:
        others = _found_instead(Path(first.detail) if kind == "folder" else Path(first.path).parent)
    return UserError(f"{said} ({count}, of {total} {unit}s){others}: {mend.format(unit=unit)}")


def _found_instead(root: Path) -> str:
    """A hint where nothing at all has its name: another folder was named, or frames are called otherwise."""
    names = sorted(path.name for path in root.iterdir())
    if not names:
        return f"; {root} is empty"
    return f"; {root} has {', '.join(names[:3])}{', ...' if len(names) > 3 else ''}"
