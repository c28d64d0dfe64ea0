"""What can be wrong with somebody's results, and the one line that a user gets of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vos3d_jax.errors import UserError
from vos3d_jax.evaluation.runs import Run
from vos3d_jax.media.masks import FAULTS, UnfitMask

# What can be wrong with a file, the most basic first: what is said of the first offender, and the mend.
_KINDS = {
    "folder": (
        "{path} is not a folder",
        "write the masks of each {unit} to <results>/<{unit}>/<frame>.png (to score a part of the benchmark:"
        " --split or --partial, docs/scoring.md)",
    ),
    "JPEG": FAULTS["JPEG"],
    "file": (
        "{path} is missing",
        "write a PNG for each frame that is scored (or score what is there: --partial)",
    ),
    "name": (
        "{path} has the name of no frame of {detail}",
        "number the masks as their frames, and keep other pictures elsewhere",
    ),
    "damaged": ("{path} cannot be read as a picture", "make these files again"),
    "size": ("{path} is {detail}", "resize the masks with nearest neighbour"),
    **FAULTS,
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


class BadResult(Exception):
    """A mask or map that cannot be scored; `problem` says why."""

    def __init__(self, problem: Problem):
        super().__init__(problem.path)
        self.problem = problem

    @classmethod
    def of(cls, fault: UnfitMask) -> "BadResult":
        """Returns that of a mask whose values cannot be told."""
        return cls(Problem(fault.kind, fault.path, fault.detail))


def refuse(problems: Sequence[Problem], runs: Sequence[Run]) -> None:
    """Returns if there are no problems.

    Raises:
        UserError: there are; the message is of the most basic kind.
    """
    if problems:
        raise refused(problems, sum(len(run.scored) for run in runs), "frame")


def refused(problems: Sequence[Problem], total: int, unit: str) -> UserError:
    """Returns the error of problems, of `total` units ("frame"): the first most basic one, and the mend."""
    kind = next(kind for kind in _KINDS if any(problem.kind == kind for problem in problems))
    chosen = [problem for problem in problems if problem.kind == kind]
    strange = {
        Path(problem.path).parent: problem.path for problem in problems[::-1] if problem.kind == "name"
    }
    misnumbered = [problem for problem in chosen if kind == "file" and Path(problem.path).parent in strange]
    chosen = misnumbered or chosen
    first = chosen[0]
    what, mend = _KINDS[kind]
    said = what.format(path=first.path, detail=first.detail)
    count = "the only one" if len(chosen) == 1 else f"the first of {len(chosen)}"
    others = ""
    if kind in ("folder", "file") and len(chosen) == total:
        others = _found_instead(Path(first.detail) if kind == "folder" else Path(first.path).parent)
    elif misnumbered:
        others = f"; {strange[Path(first.path).parent]} has the name of no frame"
    if misnumbered:  # a part of them would be scored as if each were of another frame
        mend = _KINDS["name"][1]
    return UserError(
        f"{said} ({count}, of {total} {unit}{'s' * (total != 1)}){others}: {mend.format(unit=unit)}"
    )


def _found_instead(root: Path) -> str:
    """A hint where nothing at all has its name: another folder was named, or frames are called otherwise."""
    names = sorted(path.name for path in root.iterdir())
    if not names:
        return f"; {root} is empty"
    return f"; {root} has {', '.join(names[:3])}{', ...' if len(names) > 3 else ''}"
