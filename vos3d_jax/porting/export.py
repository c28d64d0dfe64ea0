"""From a model's folder back to a PyTorch state dict: the exact inverse of `convert`.

Beside the parameters a file gets what its class's strict loading asks for: counters of batch norm (0), second
names of one tensor, input constants, and zeros for layers that the function does not use.
"""

import filecmp
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

import vos3d_jax
from vos3d_jax import records, storage
from vos3d_jax.errors import UserError
from vos3d_jax.porting import plan, rules, targets
from vos3d_jax.porting.networks import NETWORKS, backbone_of
from vos3d_jax.porting.readers import open_checkpoint
from vos3d_jax.porting.writers import write_pth, write_safetensors

_log = logging.getLogger(__name__)
FORMATS = (".safetensors", ".pth", ".pt")
# Whose names a network of ours can have; the other sources have none of our heads, or no network here.
NAMINGS = tuple(
    name for name, source in rules.SOURCES.items() if source.systems and (source.bridges or source.head)
)
_PRETRAINED_CLASSES = 400


def export(
    folder: str | os.PathLike, path: str | os.PathLike, *, naming: str | None = None, overwrite: bool = False
) -> tuple[dict[str, Any], str]:
    """Returns the tensors by name, and whose names these are, that it wrote for PyTorch users.

    Args:
        folder: a training workdir or a ported model.
        path: the new file, `.safetensors`, or `.pth` as `torch.load(weights_only=True)` opens it.
        naming: whose words to use, one of `NAMINGS`; None takes those that the weights came with,
            else the usual ones of the system.
        overwrite: replace a file that is there already and holds something else.

    Raises:
        UserError: no model there, a suffix or naming that does not fit, or another file is there already.
    """
    path = Path(path)
    if path.suffix not in FORMATS:
        raise UserError(f"{path} has none of the suffixes {', '.join(FORMATS)}: they say what is written")
    there = os.path.exists(path)  # unlike Path.exists, False for a name that no file can have
    variables, card = storage.load_variables(folder)
    naming = naming or default_naming(card)
    tensors = state_dict(variables, card, naming)
    new = path.with_name(f".{path.name}.new") if there and not overwrite else path
    if path.suffix == ".safetensors":
        write_safetensors(new, tensors, {"converter": f"vos3d_jax {vos3d_jax.__version__}"})
    else:
        write_pth(new, tensors)
    if new != path:  # the same tensors give the same bytes
        same = path.is_file() and filecmp.cmp(new, path, shallow=False)
        new.unlink()
        if not same:
            raise records.occupied(path, "and holds something else")
        _log.warning("%s was exported before, from these weights", path)
    return tensors, naming


def forgotten(path: str | os.PathLike, folder: str | os.PathLike) -> dict[str, Any]:
    """Returns {argument: value} of the network in `folder` that converting its exported file would not give.

    A state dict does not show epsilon or strides: `convert` takes those of the authors, unless they are set.

    Raises:
        UserError: as `plan.make` and `storage.load_card`.
    """
    made = plan.make(open_checkpoint(path))
    again = targets.arguments(made.system, made.arguments)
    return {k: v for k, v in storage.load_card(folder)["arguments"].items() if again.get(k) != v}


def state_dict(variables: Mapping[str, Any], card: Mapping[str, Any], naming: str) -> dict[str, np.ndarray]:
    """Returns {name in PyTorch: array with PyTorch's axes}, views of `variables`; aliases are one object.

    Args:
        variables: {"params", "batch_stats"} as `storage.load_variables` gives them.
        card: its `system` and `arguments`.
        naming: one of `NAMINGS`.

    Raises:
        UserError: files with that naming hold no such network.
    """
    if naming not in NAMINGS:
        raise UserError(f"there are no names {naming!r}: choose from {', '.join(NAMINGS)}")
    views, arguments = targets.views(variables), naming_arguments(card)
    try:
        names = rules.torch_names(views, naming, arguments)
    except KeyError:
        raise UserError(
            f"files with the names of {naming!r} hold no network like this one "
            f"({card['system']}, {', '.join(f'{k}={v}' for k, v in arguments.items())})"
        ) from None
    planar = rules.SOURCES[naming].planar
    tensors = {names[path]: rules.to_torch(path, view, planar=planar) for path, view in views.items()}
    return {**tensors, **_beside(tensors, card, naming)}


def default_naming(card: Mapping[str, Any]) -> str:
    """Returns the words that the weights came with if the system is the same, else its usual ones."""
    came_with, system = card.get("source", {}).get("kind"), card["system"]
    if came_with in rules.SOURCES and system in rules.SOURCES[came_with].systems.values():
        return came_with
    if system not in NETWORKS:
        raise UserError(f"there are no PyTorch names for the system {system!r}")
    return NETWORKS[system].namings[backbone_of(system, card["arguments"])]


def naming_arguments(card: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a card's arguments that choose names: backbone, separation, bridge, refinement, classes."""
    given = {"backbone": backbone_of(card["system"], card["arguments"]), **card["arguments"]}
    choosing = ("backbone", "separation", "bridge", "refinement", "classes")
    return {name: given[name] for name in choosing if name in given}


def _beside(tensors: Mapping[str, np.ndarray], card: Mapping[str, Any], naming: str) -> dict[str, np.ndarray]:
    """What the file holds beside the parameters."""
    source = rules.SOURCES[naming]
    norms = [name.removesuffix("running_mean") for name in tensors if name.endswith(".running_mean")]
    beside = {f"{norm}num_batches_tracked": np.zeros((), np.int64) for norm in norms}
    if source.bridges is None:
        return beside
    for argument, name in source.constants.items():
        beside[name] = np.asarray(card["arguments"][argument], np.float32).reshape(1, 3, 1, 1, 1)
    beside |= _second_names({**tensors, **beside})
    last = tensors["decoders.0.pred2.weight"].shape
    channels = len(tensors["encoder.layer4.0.downsample.0.weight"])
    unused = {
        "encoder.conv1_p.weight": (64, 1, 7, 7, 7),
        "encoder.resnet.fc.weight": (_PRETRAINED_CLASSES, channels),
        "encoder.resnet.fc.bias": (_PRETRAINED_CLASSES,),
        **{f"decoders.0.pred{n}.weight": last for n in (3, 4, 5)},
        **{f"decoders.0.pred{n}.bias": last[:1] for n in (3, 4, 5)},
    }
    return beside | {name: np.zeros(shape, np.float32) for name, shape in unused.items()}


def _second_names(tensors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The encoder once more under `encoder.resnet.`, where the class registers the same modules."""
    encoder, stem = ("encoder.conv1.", "encoder.bn1.", "encoder.layer"), "encoder.resnet.conv1."
    names = [name for name in tensors if name.startswith(encoder)]
    second = {name.replace("encoder.", "encoder.resnet.", 1): tensors[name] for name in names}
    if "encoder.conv1.0.weight" in tensors:
        second |= {k.replace(".conv1.", ".stem.", 1): v for k, v in second.items() if k.startswith(stem)}
    return second
