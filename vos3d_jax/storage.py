"""Models on disk: an Orbax checkpoint with a JSON card, checksums of ours, and a way back.

A folder of checkpoints holds one sub-folder per step with the items `model` (pure dicts of `params`
and `batch_stats`), `card` (which network this is) and, from training, `training`. Orbax restores a
flipped bit of array data silently, so the card carries a crc32 of every array, and one of itself.
Everything passes through numpy: a checkpoint of any mesh restores anywhere.
"""

import contextlib
import errno
import json
import logging
import math
import os
import shutil
import sys
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal, TypeVar

import absl.logging
import jax
import numpy as np
import orbax.checkpoint as ocp
from flax import nnx

import vos3d_jax
from vos3d_jax import cards, files, models, untrusted
from vos3d_jax.errors import UserError
from vos3d_jax.media.folders import IMAGE_SUFFIXES, VIDEO_SUFFIXES
from vos3d_jax.models.abstract import abstract_model
from vos3d_jax.models.description import remember, remembered

ITEMS = ("model", "training", "card")
Step = int | Literal["best"] | None
_Result = TypeVar("_Result")
# What the machine lacks or forbids says nothing about a file; Orbax and TensorStore may say it in words.
_MACHINE = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EACCES, errno.EPERM, errno.ENOSPC, errno.ESTALE)
_MACHINE_WORDS = ("RESOURCE_EXHAUSTED", "PERMISSION_DENIED", "UNAVAILABLE", "No space left")
_LARGEST_GROWTH = 1000  # arrays to their files: the state of a run that begins is zeros
_SMALL = 64 << 20  # bytes that any model may have
_BESIDE = 1 << 20  # bytes that may be on their way to the disk beside the largest array


def save_model(model: nnx.Module, folder: str | Path, card_extra: dict[str, Any] | None = None) -> Path:
    """Returns the folder of checkpoints it wrote: the model's variables and card as step 0 of `folder`.

    Of the card that a loaded model came with, the predictor's settings are kept.

    Args:
        model: a network of `models.SYSTEMS`.
        folder: made if missing; it must not hold a model yet.
        card_extra: what else the card should say (source, licence, ...), JSON values.

    Raises:
        UserError: the folder holds a model already, or cannot be written.
    """
    kept = {"inference": settings} if (settings := remembered(model).get("settings")) else {}
    card = {**models.model_card(model), **kept, **(card_extra or {})}
    return save_variables(model_variables(model), card, folder)


def save_variables(variables: dict[str, Any], card: dict[str, Any], folder: str | Path) -> Path:
    """Returns the folder of checkpoints it wrote: the arrays of a model that need not exist, as step 0.

    Args:
        variables: `params` and `batch_stats` as `model_variables` gives them; numpy arrays are not copied.
        card: `system`, `arguments` and what else it should say, JSON values.
        folder: made if missing; it must not hold a model yet.

    Raises:
        UserError: the folder holds a model already, or cannot be written; a card whose values are of other
            types than `cards` says.
    """
    card = {**card, "step": 0}
    if problem := cards.problem({**card, "checksums": {}}):
        raise UserError(f"{problem}: nothing was written")
    if not os.fspath(folder):
        raise UserError("the name of the folder to write is empty: give one")
    if holds_model(folder):
        raise UserError(f"{folder} holds a model already: give another folder, or remove this one")
    checkpoints = Path(folder).absolute() / "checkpoints"
    made = [path for path in (checkpoints, checkpoints.parent) if not os.path.exists(path)]
    files.make_folder(checkpoints)
    items, card = _checked({"model": variables}, card, copy=False)
    # Orbax would compress (twice the processor time, for 8 % less), and all arrays at once beside themselves.
    sizes = [leaf.nbytes for leaf in jax.tree.leaves(variables)]
    gigabytes = (max(sizes) + _BESIDE) / 1e9
    arrays = ocp.PyTreeCheckpointHandler(use_compression=False, save_concurrent_gb=gigabytes)
    arguments = {"model": ocp.args.PyTreeSave(items["model"]), "card": ocp.args.JsonSave(card)}
    try:
        with saving(checkpoints):
            needed, free = sum(sizes), shutil.disk_usage(checkpoints).free
            if free < needed:
                raise OSError(errno.ENOSPC, f"{needed / 1e6:,.0f} MB needed, {free / 1e6:,.0f} MB free")
            with open_manager(checkpoints, {"model": arrays, "card": ocp.JsonCheckpointHandler()}) as manager:
                manager.save(0, args=ocp.args.Composite(**arguments))
                manager.wait_until_finished()
    except Exception:
        for path in made:  # what was there before is left
            shutil.rmtree(path, ignore_errors=True)
        raise
    return checkpoints


@contextlib.contextmanager
def saving(folder: Path) -> Iterator[None]:
    """While it is entered, Orbax's many ways to say "disk full" become the one error of `files`.

    Args:
        folder: of checkpoints; the unfinished ones are removed then.
    """
    try:
        yield
    except Exception as error:
        if not _is_of_the_machine(error):
            raise
        for unfinished in folder.glob("*.orbax-checkpoint-tmp*"):
            shutil.rmtree(unfinished, ignore_errors=True)
        logging.getLogger("asyncio").setLevel(logging.CRITICAL)  # Orbax leaves a traceback per array
        raise files.unwritable(folder, error) from error


def holds_model(folder: str | Path) -> bool:
    """Returns whether there is a model in `folder`, as `save_variables` writes it."""
    checkpoints = Path(folder).absolute() / "checkpoints"
    return os.path.isdir(checkpoints) and bool(_steps(checkpoints))  # a file: `files.make_folder` says so


def load_model(folder: str | Path, step: Step = None) -> nnx.Module:
    """Returns the network stored in a training workdir, its `checkpoints/` folder or a ported folder.

    Args:
        folder: where `main` or `save_model` wrote.
        step: which step; None takes the latest whose checksums hold, "best" the one that scored highest
            during training. A damaged step is named on stderr and the next one in that order is taken.

    The network knows the predictor's settings of its card: `Predictor` runs it as it was trained to be run.

    Raises:
        UserError: no checkpoint there, none that is whole or (for "best") scored, or a card of a system
            unknown here.
    """
    return load_model_and_card(folder, step)[0]


def load_model_and_card(folder: str | Path, step: Step = None) -> tuple[nnx.Module, dict[str, Any]]:
    """Returns the network that `load_model` gives and the card of the very step that it is of.

    Raises:
        UserError: as `load_model`.
    """
    model, variables, card = _newest_whole(folder, step, _read_model)
    variables = jax.tree.map(lambda array: jax.device_put(array, may_alias=True), variables)  # no copy
    graphdef = nnx.split(model, nnx.Param, nnx.BatchStat)[0]
    model = nnx.merge(graphdef, variables["params"], variables["batch_stats"])
    remember(model, card.get("inference", {}), cards.origin(card), cards.doubt(card))
    return model, card


def load_variables(folder: str | Path, step: Step = None) -> tuple[dict[str, Any], dict[str, Any]]:
    """Returns the variables (numpy arrays, as `model_variables` gives them) and the card of what is stored.

    Raises:
        UserError: as `load_model`.
    """
    _, variables, card = _newest_whole(folder, step, _read_model)
    return variables, card


def load_card(folder: str | Path, step: Step = None) -> dict[str, Any]:
    """Returns the card (system, arguments, step, ...) of what `load_model(folder, step)` would load.

    Raises:
        UserError: no checkpoint there, or no card that is whole.
    """
    return _newest_whole(folder, step, read_card)


def model_variables(model: nnx.Module) -> dict[str, Any]:
    """Returns the model's parameters and batch statistics as pure dicts (`params`, `batch_stats`)."""
    _, params, batch_stats = nnx.split(model, nnx.Param, nnx.BatchStat)
    return {"params": nnx.to_pure_dict(params), "batch_stats": nnx.to_pure_dict(batch_stats)}


def open_manager(
    folder: Path, handlers: dict[str, ocp.CheckpointHandler] | None = None, **options: Any
) -> ocp.CheckpointManager:
    """Returns an Orbax manager of the existing `folder`, without Orbax's log lines.

    Args:
        folder: of checkpoints.
        handlers: what writes each item; None for our items and what Orbax has for them.
        **options: of Orbax.

    Raises:
        UserError: there is in it what Orbax should not open, see `untrusted`.
    """
    untrusted.refuse_strange(folder)
    absl.logging.set_verbosity(absl.logging.FATAL)
    options = ocp.CheckpointManagerOptions(create=False, **options)
    items = {"item_names": ITEMS} if handlers is None else {"item_handlers": handlers}
    return ocp.CheckpointManager(folder.absolute(), options=options, **items)


def save_arguments(items: dict[str, Any], card: dict[str, Any]) -> ocp.args.Composite:
    """Returns what `manager.save(step, args=...)` takes: copies of the arrays, and the card with checksums.

    Copies, because the arrays are written in the background while a donated step reuses their memory.
    """
    items, card = _checked(items, card, copy=True)
    arguments = {name: ocp.args.StandardSave(tree) for name, tree in items.items()}
    return ocp.args.Composite(**arguments, card=ocp.args.JsonSave(card))


def read_card(manager: ocp.CheckpointManager, step: int) -> dict[str, Any]:
    """Returns the card of `step`; ValueError when it is damaged or none (other exceptions are Orbax's)."""
    card = manager.restore(step, args=ocp.args.Composite(card=ocp.args.JsonRestore())).card
    if card.pop("crc", None) != _crc(card):
        raise ValueError("the checksum of its card differs")
    if problem := cards.problem(card):
        raise ValueError(problem)
    return card


def read_item(
    manager: ocp.CheckpointManager, step: int, item: str, target: Any, card: dict[str, Any]
) -> dict[str, Any]:
    """Returns the numpy arrays of `item`, in the structure of `target`; ValueError when they are damaged."""
    claimed = sum(math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in jax.tree.leaves(target))
    stored = untrusted.refuse_strange(Path(manager.directory) / str(step))
    if claimed > max(_SMALL, _LARGEST_GROWTH * stored):
        raise ValueError(f"it claims arrays of {claimed:,} bytes in files of {stored:,}")
    target = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), target)
    arguments = ocp.args.Composite(**{item: ocp.args.StandardRestore(target)})
    tree = manager.restore(step, args=arguments)[item]
    expected, actual = card["checksums"][item], _checksums(tree)
    for name in sorted(expected.keys() | actual.keys()):
        if expected.get(name) != actual.get(name):
            raise ValueError(f"the checksum of {name} differs")
    return tree


def _checksums(tree: Any) -> dict[str, int]:
    """The crc32 of every array of `tree`, by its path."""
    leaves = {
        jax.tree_util.keystr(path, simple=True, separator="/"): leaf
        for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
    }

    def crc(array: Any) -> int:
        return zlib.crc32(np.ascontiguousarray(array).reshape(-1).view(np.uint8))

    with ThreadPoolExecutor() as threads:  # zlib and numpy let others run meanwhile
        return dict(zip(leaves, threads.map(crc, leaves.values()), strict=True))


def newest_whole(
    manager: ocp.CheckpointManager, steps: list[int], read: Callable[[int], _Result]
) -> _Result | None:
    """Returns `read(step)` of the first of `steps` that can be read, None when there is none.

    Orbax and the file system raise exceptions of many types for a damaged step, so every one of them
    means: say so on stderr, and try the next. But not what the machine lacks: the file may well be whole.

    Raises:
        UserError: a step cannot be read for want of memory, permission or open files.
    """
    for step in steps:
        try:
            return read(step)
        except (UserError, MemoryError):
            raise
        except Exception as error:
            reason = files.reason(error)
            if _is_of_the_machine(error):
                raise UserError(
                    f"checkpoint {step} of {manager.directory} could not be read ({reason}); it may well be"
                    " whole: mend that and give the same command again"
                ) from error
            print(f"warning: checkpoint {step} of {manager.directory} is damaged ({reason})", file=sys.stderr)
    return None


def _newest_whole(
    folder: str | Path, step: Step, read: Callable[[ocp.CheckpointManager, int], _Result]
) -> _Result:
    checkpoints = _checkpoints(folder)
    steps = _steps(checkpoints)
    if isinstance(step, int):
        if step not in steps:
            raise UserError(f"{folder} has no checkpoint of step {step}: it has {', '.join(map(str, steps))}")
        steps = [step]
    with open_manager(checkpoints, read_only=True) as manager:
        if step == "best":
            steps = _best_first(manager, steps)
            if not steps:
                raise UserError(
                    f"no checkpoint in {folder} was scored, so none is the best: give a step, or none for the"
                    " latest; --config.evaluation.every=STEPS scores while training"
                )
        result = newest_whole(manager, steps, lambda number: read(manager, number))
    if result is None:
        raise UserError(f"no checkpoint in {folder} is whole: train or port the model again")
    return result


def _read_model(manager: ocp.CheckpointManager, step: int) -> tuple[nnx.Module, Any, dict[str, Any]]:
    """The network without numbers, its variables and its card."""
    card = read_card(manager, step)
    model = abstract_model(card["system"], **card["arguments"])
    return model, read_item(manager, step, "model", model_variables(model), card), card


def _best_first(manager: ocp.CheckpointManager, steps: list[int]) -> list[int]:
    """The scored ones of `steps`, by falling score; of equal ones the later first."""
    cards = {step: newest_whole(manager, [step], lambda number: read_card(manager, number)) for step in steps}
    scores = {step: card["score"] for step, card in cards.items() if card and "score" in card}
    return sorted(scores, key=lambda step: (scores[step], step), reverse=True)


def _is_of_the_machine(error: BaseException) -> bool:
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno in _MACHINE):
        return True
    behind = error.__cause__ or error.__context__
    said = any(word in str(error) for word in _MACHINE_WORDS)
    return said or (behind is not None and _is_of_the_machine(behind))


def _checkpoints(folder: str | Path) -> Path:
    folder = Path(folder)
    if folder.is_file():
        wanted = "a training workdir or a model's folder"
        if folder.suffix.lower() in (*VIDEO_SUFFIXES, *IMAGE_SUFFIXES):
            raise UserError(f"{folder} is a video or picture, not a model: give {wanted}")
        raise UserError(
            f"{folder} is a file, not a folder: make one of it with `python -m vos3d_jax.port_weights convert"
            f" {folder} --output=DIR`, then give DIR"
        )
    if not folder.is_dir():
        raise UserError(f"{folder} is not a folder: give a training workdir or a ported model's folder")
    for candidate in (folder / "checkpoints", folder):
        if candidate.is_dir() and _steps(candidate):
            return candidate
    raise UserError(
        f"no checkpoint in {folder}: expected {folder}/checkpoints/<step>/ as `vos3d main` writes it"
    )


def _steps(folder: Path) -> list[int]:
    return sorted((int(path.name) for path in folder.iterdir() if path.name.isdecimal()), reverse=True)


def _checked(
    items: dict[str, Any], card: dict[str, Any], copy: bool
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The items as arrays that Orbax can keep, and the card with their checksums and its own."""

    def array(leaf: Any) -> Any:
        # Orbax itself copies numpy arrays, but not those of jax.
        return np.array(leaf) if copy else jax.device_put(np.asarray(leaf), may_alias=True)

    items = {name: jax.tree.map(array, tree) for name, tree in items.items()}
    sums = {name: _checksums(tree) for name, tree in items.items()}
    card = json.loads(json.dumps({**card, "version": vos3d_jax.__version__, "checksums": sums}))
    card["crc"] = _crc(card)
    return items, card


def _crc(card: dict[str, Any]) -> int:
    return zlib.crc32(json.dumps(card, sort_keys=True).encode())
