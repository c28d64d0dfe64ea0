"""Which of a folder's own videos are trained on and which are held out: by its lists, else by a rule."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

from vos3d_jax.errors import UserError

NAMES = ("train", "val")
_SHOWN = 5

_log = logging.getLogger(__name__)


def of(
    root: Path, every: Sequence[str], lists: Mapping[str, Sequence[str] | None]
) -> dict[str, Sequence[str]]:
    """Returns the names of the videos of "train" and "val"; what no list says is logged with the rule.

    A missing list holds the videos that the other does not name. Where both are missing every fifth video, of
    fewer than five the last, is "val".

    Args:
        root: the folder, for messages.
        every: the names of all its videos, in order.
        lists: what its train.txt and val.txt name, None where there is none.

    Raises:
        UserError: the rule leaves no video to one of the two.
    """
    missing = [name for name in NAMES if lists[name] is None]
    if not missing:
        both = [name for name in lists["train"] if name in lists["val"]]
        if both:
            _log.warning(
                "%s: train.txt and val.txt both name %s: its scores are not of unseen videos",
                root,
                _few(both),
            )
        return dict(lists)
    if len(missing) == 1:
        (rest,) = missing
        given = NAMES[1 - NAMES.index(rest)]
        splits = {**lists, rest: [name for name in every if name not in lists[given]]}
        rule = f"has no {rest}.txt: what {given}.txt does not name is {rest}"
    else:
        held_out = every[4::5] or every[-1:]
        splits = {"train": [name for name in every if name not in held_out], "val": held_out}
        rule = "has no train.txt and val.txt: every fifth video, of fewer than five the last, is val"
    for name in missing:
        if every and not splits[name]:
            raise UserError(
                f"{root} {rule}, which leaves none of its {len(every)} to {name}: add videos, or write names "
                "of videos, one a line, into train.txt and val.txt there (one may stand in both)"
            )
    _log.warning("%s %s: %s (train: %d videos)", root, rule, _few(splits["val"]), len(splits["train"]))
    return splits


def _few(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
