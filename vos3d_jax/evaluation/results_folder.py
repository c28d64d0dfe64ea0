"""Somebody's results in files: where they are, and whether they are whole by names and headers.

Nothing in the folder but the masks and maps of scored frames is ever read (the official DAVIS tool takes CSV
files it finds there for its own), and nothing is written to it.
"""

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from vos3d_jax.errors import UserError
from vos3d_jax.evaluation.problems import Problem, refuse, refused
from vos3d_jax.evaluation.runs import Run
from vos3d_jax.media.encodings import Choice
from vos3d_jax.media.images import opened
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
        """Returns the results in a folder of masks, or in one with `masks` (and `maps`), as `main` writes it.

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
        """Returns the file of a frame's mask."""
        return existing(self.masks / run.folder, run.video.frame_names[index])

    def map_path(self, run: Run, index: int) -> Path:
        """Returns the file of a frame's soft map; only where there are maps."""
        return existing(self.maps / run.folder, run.video.frame_names[index])


def existing(folder: Path, name: str) -> Path:
    """Returns a frame's picture as it is called, in capitals or not; `<name>.png` where there is none."""
    usual = folder / f"{name}.png"
    others = (usual.with_name(name + ending) for ending in (".PNG", ".bmp", ".BMP"))
    return usual if usual.exists() else next((path for path in others if path.exists()), usual)


def only_present(results: Results, runs: Sequence[Run]) -> tuple[list[Run], str]:
    """Returns the runs with the frames that have a mask, and what is left out in words.

    Raises:
        UserError: there is no mask of any of them, or a video that lacks some has masks of no frame: numbers
            that begin elsewhere look as if one were missing.
    """
    kept, misnumbered = [], []
    for run in runs:
        scored = tuple(index for index in run.scored if results.mask_path(run, index).is_file())
        if len(scored) < len(run.scored) and (strange := _strange_names(results.masks, run)):
            missing = (results.mask_path(run, index) for index in run.scored if index not in scored)
            misnumbered += [Problem("file", str(path)) for path in missing] + strange
        if scored:
            kept.append(replace(run, scored=scored))
    refuse(misnumbered, runs)
    if not kept:
        check_files(results, runs)
    frames, there = (sum(len(run.scored) for run in chosen) for chosen in (runs, kept))
    names = [run.name for run in runs if run.name not in {run.name for run in kept}]
    without = f" (without {', '.join(names[:3])}{', ...' if len(names) > 3 else ''})" if names else ""
    return kept, (
        f"PARTIAL RESULTS: {frames - there} of {frames} frames have no mask and are left out; {len(kept)} of "
        f"{len(runs)} {'sequence is' if len(runs) == 1 else 'sequences are'} scored{without}"
    )


def check_files(results: Results, runs: Sequence[Run]) -> None:
    """Returns if every scored frame of the runs has a PNG of its size, by names and headers alone.

    Raises:
        UserError: not so; one message names the first offender, how many there are, and the mend.
    """
    problems = []
    folders = [folder for folder in (results.masks, results.maps) if folder is not None]
    for folder in folders:
        missing = list(dict.fromkeys(run.folder for run in runs if not (folder / run.folder).is_dir()))
        problems += [Problem("folder", str(folder / name), str(folder)) for name in missing]
    if problems:
        raise refused(problems, len({run.folder for run in runs}), "sequence")
    strange = [problem for folder in folders for run in runs for problem in _strange_names(folder, run)]
    for path_of in filter(None, (results.mask_path, results.map_path if results.maps else None)):
        for run in runs:
            for index in run.scored:
                problems += _header_problem(path_of(run, index), run.video.size)
    refuse(problems + list(dict.fromkeys(strange)), runs)


def map_bits(results: Results, runs: Sequence[Run]) -> str | None:
    """Returns how deep the maps are by the first one's header, "8 bits" or "16 bits"; None without maps."""
    if results.maps is None:
        return None
    with opened(results.map_path(runs[0], runs[0].scored[0]), "a map") as image:
        return "16 bits" if image.mode.startswith("I") else "8 bits"


def _strange_names(folder: Path, run: Run) -> list[Problem]:
    """The masks or maps that are of no frame: numbers that begin elsewhere would be scored one frame off.

    Where the data have every fifth frame alone, those of the others are none the worse. Where they may have
    fewer than the video (true masks without frames, J-HMDB's clips), nor are they beside all that are known.
    """
    from vos3d_jax.data.readers import listing  # of no use to the processes that score

    names = run.video.frame_names
    ends = [re.search("[0-9]+$", name) for name in names]
    numbers = [int(end[0]) for end in ends if end is not None]
    sparse = any(after - before != 1 for before, after in itertools.pairwise(numbers))
    if sparse or not (folder / run.folder).is_dir():
        return []
    masks = listing.files_by_stem(folder / run.folder, listing.MASK_ENDINGS)
    known = frozenset(names)
    if (run.video.label is not None or not run.video.frames_known) and known <= masks.keys():
        return []
    frames = f"{run.video.name}, whose frames are {names[0]} to {names[-1]}"
    return [Problem("name", str(path), frames) for name, path in masks.items() if name not in known]


def _header_problem(path: Path, size: tuple[int, int]) -> list[Problem]:
    try:
        kind, there = "PNG", png_size(path)
        if there is None:
            with opened(path, "a mask") as image:
                kind, there = image.format, (image.height, image.width)
    except FileNotFoundError:
        photos = [path.with_suffix(ending) for ending in _JPEG if path.with_suffix(ending).exists()]
        return [Problem("JPEG" if photos else "file", str((photos or [path])[0]))]
    except (UserError, OSError):
        return [Problem("damaged", str(path))]
    if kind == "JPEG":
        return [Problem("JPEG", str(path))]
    sizes = f"{there[1]}x{there[0]} but its frame is {size[1]}x{size[0]}"
    return [Problem("size", str(path), sizes)] if there != size else []
