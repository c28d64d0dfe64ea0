"""The proof for a user's own file: a model's tensors against those of a file, bit by bit."""

import dataclasses
import json
import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from vos3d_jax import storage
from vos3d_jax.errors import UserError
from vos3d_jax.porting import export, plan, rules, targets
from vos3d_jax.porting.readers import open_checkpoint
from vos3d_jax.porting.recognise import recognise
from vos3d_jax.porting.rules import known_files

EQUAL, DIFFERENT, SHAPE = "equal", "different", "wrong shape"
_UNSEEN = ("epsilon", "mean", "std", "temporal_strides", "stem_time_padding")  # tensors do not show them
ONLY_MODEL, ONLY_FILE = "only in the model", "only in the file"


@dataclasses.dataclass(frozen=True)
class Comparison:
    """One tensor of the model, or one that only the file has.

    Attributes:
      path: ours, unstacked; "" for `ONLY_FILE`.
      name: in the file.
      status: `EQUAL` bit by bit, `DIFFERENT`, `SHAPE`, `ONLY_MODEL` or `ONLY_FILE`.
      difference: largest absolute difference; NaN where the values cannot be compared.
    """

    path: str
    name: str
    status: str
    difference: float = float("nan")


def compare(
    folder: str | os.PathLike, path: str | os.PathLike, *, root: str | None = None
) -> Sequence[Comparison]:
    """Returns one row per tensor of the model in `folder`, compared with the file that it came from.

    What is left in the file follows, but for names that are known not to be in its function. A file of a
    backbone is compared with the encoder of a segmentation network; the rest of that is `ONLY_MODEL`.
    Values of other floating types are compared after the conversion to float32.

    Raises:
      UserError: no model, no checkpoint, or one of another network.
    """
    variables, card = storage.load_variables(folder)
    checkpoint = open_checkpoint(path, root=root)
    found = recognise(checkpoint.path, {name: tuple(tensor.shape) for name, tensor in checkpoint.items()})
    views = targets.views(variables)
    known = {}
    for our_path in views:
        try:
            known |= rules.torch_names([our_path], found.source, export.naming_arguments(card))
        except KeyError:
            continue
    names = rules.torch_names(list(known), found.source, export.naming_arguments(card))
    rows = []
    for our_path, ours in views.items():
        name = names.get(our_path, "")
        if name not in checkpoint:
            rows.append(Comparison(our_path, name, ONLY_MODEL))
            continue
        theirs = rules.from_torch(our_path, checkpoint[name].numpy())
        if theirs.shape != ours.shape:
            rows.append(Comparison(our_path, name, SHAPE))
            continue
        with np.errstate(over="ignore", invalid="ignore"):  # infinities are a difference, not a warning
            theirs = theirs.astype(np.float32)
            equal = np.array_equal(_bits(ours), _bits(theirs))
            difference = 0.0 if equal else float(np.abs(ours.astype(np.float64) - theirs).max(initial=0))
        rows.append(Comparison(our_path, name, EQUAL if equal else DIFFERENT, difference))
    if all(row.status == ONLY_MODEL for row in rows):
        raise UserError(
            f"{checkpoint.path} is a {found.title}: no tensor of it belongs to the {card['system']} "
            f"in {folder}"
        )
    compared, source = set(names.values()), rules.SOURCES[found.source]
    left = [name for name in checkpoint if name not in compared and source.is_live(name)]
    return rows + [Comparison("", name, ONLY_FILE) for name in left]


def other_settings(
    folder: str | os.PathLike, path: str | os.PathLike, *, root: str | None = None
) -> dict[str, tuple[Any, Any]]:
    """Returns {argument: (of the model, of the file)} where tensors do not show that functions differ.

    What a state dict does not hold (epsilon, strides) is as the file's authors had it, unless it was set.

    Raises:
      UserError: as `compare`.
    """
    card = storage.load_card(folder)
    checkpoint = open_checkpoint(path, root=root)
    found = recognise(checkpoint.path, {name: tuple(tensor.shape) for name, tensor in checkpoint.items()})
    if card["system"] not in (found.system, "dcseg"):
        return {}  # a part of another network, which has settings of its own
    made = plan.make(checkpoint, into=card["system"])
    theirs = json.loads(json.dumps(targets.arguments(made.system, made.arguments)))
    source = card.get("source", {})
    if made.system == found.system and source.get("size") == checkpoint.path.stat().st_size:
        _, hidden = known_files.find(source.get("sha256", "")) or (None, {})
        theirs |= json.loads(json.dumps(hidden))
    ours = {name: card["arguments"][name] for name in _UNSEEN if name in card["arguments"]}
    return {name: (value, theirs[name]) for name, value in ours.items() if value != theirs[name]}


def _bits(array: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(array, np.float32).view(np.uint32)
