"""The proof for a user's own file: a model's tensors against those of a file, bit by bit."""

import json
import os
from dataclasses import dataclass
from typing import Any

import numpy as np

from vos3d_jax import storage
from vos3d_jax.errors import UserError
from vos3d_jax.porting import networks, plan, rules, targets
from vos3d_jax.porting.export import naming_arguments
from vos3d_jax.porting.readers import Checkpoint, open_checkpoint
from vos3d_jax.porting.recognise import Recognised, recognise
from vos3d_jax.porting.rules.known_files import KNOWN_FILES

EQUAL, DIFFERENT, SHAPE = "equal", "different", "wrong shape"
ONLY_MODEL, ONLY_FILE = "only in the model", "only in the file"
_UNSEEN = ("epsilon", "mean", "std", "temporal_strides", "stem_time_padding")  # tensors do not show them


@dataclass(frozen=True)
class ComparedTensor:
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


@dataclass(frozen=True)
class Comparison:
    """A model and a file.

    Attributes:
        tensors: all of the model's in the order of tables, then what only the file has.
        settings: {argument: (of the model, of the file)} where tensors do not show that functions differ:
            what a state dict does not hold (epsilon, strides) is as the file's authors had it, unless it was
            set.
    """

    tensors: list[ComparedTensor]
    settings: dict[str, tuple[Any, Any]]


def compare(folder: str | os.PathLike, path: str | os.PathLike, *, root: str | None = None) -> Comparison:
    """Returns how the model in `folder` differs from the file that it came from.

    Of what only the file has, names that are known not to be in its function are left out. A file of a
    backbone is compared with the encoder of a segmentation network; the rest of that is `ONLY_MODEL`.
    Values of other floating types are compared after the conversion to float32.

    Raises:
        UserError: no model, no checkpoint, or one of another network.
    """
    variables, card = storage.load_variables(folder)
    checkpoint = open_checkpoint(path, root=root)
    recognised = recognise(checkpoint.path, checkpoint.shapes, checkpoint.roots)
    views, source = targets.views(variables), rules.SOURCES[recognised.source]
    names = rules.torch_names(views, recognised.source, naming_arguments(card), strict=False)
    tensors = [_compared(path, view, names.get(path, ""), checkpoint) for path, view in views.items()]
    if all(row.status == ONLY_MODEL for row in tensors):
        raise UserError(
            f"{checkpoint.path} is a {recognised.title}: no tensor of it belongs to the {card['system']} "
            f"in {folder}"
        )
    used = set(names.values())
    left = [name for name in checkpoint if name not in used and source.is_live(name)]
    tensors += [ComparedTensor("", name, ONLY_FILE) for name in left]
    return Comparison(tensors, _other_settings(card, checkpoint, recognised))


def _compared(path: str, ours: np.ndarray, name: str, checkpoint: Checkpoint) -> ComparedTensor:
    if name not in checkpoint:
        return ComparedTensor(path, name, ONLY_MODEL)
    theirs = rules.from_torch(path, checkpoint[name].numpy())
    if theirs.shape != ours.shape:
        return ComparedTensor(path, name, SHAPE)
    with np.errstate(over="ignore", invalid="ignore"):  # infinities are a difference, not a warning
        theirs = theirs.astype(np.float32)
        if np.array_equal(targets.bits(ours), targets.bits(theirs)):
            return ComparedTensor(path, name, EQUAL, 0.0)
        difference = float(np.abs(ours.astype(np.float64) - theirs).max(initial=0))
    return ComparedTensor(path, name, DIFFERENT, difference)


def _other_settings(
    card: dict[str, Any], checkpoint: Checkpoint, recognised: Recognised
) -> dict[str, tuple[Any, Any]]:
    system, source = card["system"], card.get("source", {})
    if system != recognised.system and system not in networks.takers(recognised.backbone):
        return {}  # a part of another network, which has settings of its own
    made = plan.make(checkpoint, into=system)
    theirs = targets.arguments(system, made.arguments)
    if system == recognised.system and source.get("size") == checkpoint.path.stat().st_size:
        _, hidden = KNOWN_FILES.get(source.get("sha256", "")[:8], (None, {}))
        theirs |= json.loads(json.dumps(hidden))
    ours = {name: card["arguments"][name] for name in _UNSEEN if name in card["arguments"]}
    return {name: (value, theirs[name]) for name, value in ours.items() if value != theirs[name]}
