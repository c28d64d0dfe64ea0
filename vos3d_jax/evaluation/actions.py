"""The scores of J-HMDB's actions that a method gives beside its masks, for frame-mAP.

Each box stands in the list of every action with that action's score (Hou et al., BMVC 2019, leave open which
classes a box scores for).
"""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from vos3d_jax.data.readers.listing import read_text
from vos3d_jax.errors import UserError
from vos3d_jax.evaluation.runs import Run

# Folder of a clip -> frame, or "" for all of them -> action -> score.
Actions = Mapping[str, Mapping[str, Mapping[str, float]]]


def read_actions(masks_dir: Path, runs: Sequence[Run]) -> Actions | None:
    """Returns the scores of J-HMDB's actions: folder of a clip -> frame ("" for all) -> class -> score.

    They are in <results>/<split>/actions.csv, one line a clip or a frame: `clip,frame,<the classes>`, the
    clip as "<class>/<clip>". None if no split has that file.

    Raises:
        UserError: a file is missing for one split, or lacks a class or a clip.
    """
    groups = list(dict.fromkeys(run.group for run in runs))
    paths = {group: masks_dir / group / "actions.csv" for group in groups}
    if not any(path.is_file() for path in paths.values()):
        return None
    actions: dict[str, dict[str, dict[str, float]]] = {}
    for group, path in paths.items():
        labels = {run.video.label for run in runs if run.group == group}
        if not path.is_file():
            raise UserError(f"{path} is missing, but other splits have theirs: write it too")
        try:
            for line in csv.DictReader(io.StringIO(read_text(path), newline="")):
                scores = {label: float(line[label]) for label in labels}
                actions.setdefault(f"{group}/{line['clip']}", {})[line["frame"] or ""] = scores
        except (csv.Error, KeyError, ValueError, TypeError) as error:
            raise UserError(
                f"{path} has no number for {error} in a line: expected the columns clip, frame and one a "
                "class"
            ) from None
    for run in runs:
        scores = actions.get(run.folder, {})
        if "" not in scores and not {run.video.frame_names[index] for index in run.scored} <= scores.keys():
            raise UserError(
                f"{paths[run.group]} has no line for {run.folder!r} or one of its frames: write one a frame, "
                "or one with no frame for the whole clip"
            )
    return actions
