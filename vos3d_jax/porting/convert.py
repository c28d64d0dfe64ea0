"""From a published file to a folder that `load_model` opens: every tensor once, or nothing.

Tensors pass one at a time from the file into the arrays that are saved, so the peak of memory is the network
and its largest tensor.
"""

import collections
import dataclasses
import hashlib
import logging
import math
import os
import shutil
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jax
import numpy as np

import vos3d_jax
from vos3d_jax import files, models, records, storage
from vos3d_jax.errors import UserError
from vos3d_jax.porting import plan as plans
from vos3d_jax.porting import rules, targets
from vos3d_jax.porting.plan import Plan
from vos3d_jax.porting.readers import Checkpoint, open_checkpoint
from vos3d_jax.porting.readers.file_bytes import printable
from vos3d_jax.porting.rules.known_files import KNOWN_FILES

_log = logging.getLogger(__name__)
_INPUTS = 8  # channels that are copied at once: what is read for them stays in the cache
_LARGEST_GROWTH = 8  # float16 grows twofold; no published file shares storage between live tensors


def convert(
    path: str | os.PathLike,
    folder: str | os.PathLike,
    *,
    into: str | None = None,
    settings: Mapping[str, Any] | None = None,
    allow: Sequence[str] = (),
    root: str | None = None,
    overwrite: bool = False,
) -> Plan:
    """Returns what became of every tensor of a published file, whose network it writes to `folder`.

    Args:
        path: the file, of any container that `open_checkpoint` reads.
        folder: for `storage.load_model`; where the same was converted before, nothing is written.
        into: a system of which a backbone's file becomes the encoder; what else it has is random.
        settings: arguments that the file cannot show, instead of the source's own.
        allow: patterns of names or of our paths whose problems are accepted.
        root: the wrapper that holds the weights, for a file of several.
        overwrite: replace another converted model that `folder` holds, once the new one is complete.

    Raises:
        UserError: all problems of the file in one line; `folder` holds another model. Nothing is written.
    """
    if not os.fspath(folder):
        raise UserError("the name of the folder to write is empty: give one")
    checkpoint = open_checkpoint(path, root=root)
    plan = plans.make(checkpoint, into=into, settings=settings, allow=allow)
    plans.refuse(checkpoint, plan)
    with ThreadPoolExecutor(1) as other:
        hashed = other.submit(_sha256, checkpoint.path)  # while the tensors are read
        variables, plan = fill(checkpoint, plan, allow)
        digest = hashed.result()
    name, hidden = KNOWN_FILES.get(digest[:8], (None, {}))
    if plan.system == plan.recognised.system:  # an encoder gets the input of its new network
        plan.arguments.update({k: v for k, v in hidden.items() if k not in (settings or {})})
    with files.exclusive(folder):
        _save(variables, card(checkpoint, plan, digest, name), Path(folder), overwrite)
    return plan


def fill(checkpoint: Checkpoint, plan: Plan, allow: Sequence[str] = ()) -> tuple[targets.Variables, Plan]:
    """Returns {"params", "batch_stats"} with the file's values, and the plan with what the values showed.

    Values that no trained network has (not finite, a variance below 0, beyond float32), names that should
    repeat a tensor and hold other values, and elements of ours that were never written, are problems, too.

    Raises:
        UserError: a problem of the plan or of the values which is not allowed, or a network far larger than
            its file.
    """
    plans.refuse(checkpoint, plan)
    refuse_inflated(checkpoint, plan)
    variables = targets.allocate(plan.system, plan.arguments)
    views = targets.views(variables)
    if wanted := plan.random:
        # Only then is a second copy of the network made, whose random weights these are.
        model = models.build_model(plan.system, seed=0, **plan.arguments)
        random = targets.views(jax.tree.map(np.asarray, storage.model_variables(model)))
        for name in wanted:
            views[name][...] = random[name]
    rows = []
    for row in plan.rows:
        if row.status == plans.USED:
            row = _filled(checkpoint, views[row.path], row)
        elif row.status == plans.ALIAS:
            row = _compared(checkpoint, plan, row)
        rows.append(row)
    rows += [
        plans.TensorRow("", plans.MISSING, path, None, view.shape, "never written")
        for path, view in views.items()
        if (np.ascontiguousarray(view).view(np.uint32) == targets.CANARY).any()
    ]
    plan = dataclasses.replace(plan, rows=plans.with_allowed(rows, allow))
    plans.refuse(checkpoint, plan)
    return variables, plan


def _save(variables: targets.Variables, made: dict[str, Any], folder: Path, overwrite: bool) -> None:
    """Writes the model, unless it is there already; another one makes way if it may be replaced."""
    new, old, place = folder / ".new", folder / ".old", folder / "checkpoints"
    with files.writing(folder):
        if old.exists() and not place.exists():  # a run was killed between its renames
            old.rename(place)
    for left in (new, old):
        shutil.rmtree(left, ignore_errors=True)
    if not storage.holds_model(folder):
        storage.save_variables(variables, made, folder)
        return
    try:
        before = storage.load_card(folder)
    except UserError:  # damaged
        before = {}
    if records.same(before, made) and not overwrite:
        _log.warning("%s was converted before, from this file and with these settings", folder)
        return
    if "config" in before:
        raise UserError(
            f"{folder} holds a network that was trained, which is never replaced: give another --output"
        )
    if not overwrite:
        raise records.occupied(folder, records.differences(before, made))
    storage.save_variables(variables, made, new)
    with files.writing(folder):
        place.rename(old)
        (new / "checkpoints").rename(place)
        shutil.rmtree(old)
        shutil.rmtree(new)


def refuse_inflated(checkpoint: Checkpoint, plan: Plan) -> None:
    """Raises UserError when the network is far larger than the file.

    Expanded views can claim any size, and so can one tensor when the others may be missing. What no file of
    the kind has (a decoder beside a backbone) does not count.
    """
    counted = [row for row in plan.rows if row.path and row.expected and (row.name or row.allowed)]
    claimed, size = 4 * sum(math.prod(row.expected) for row in counted), checkpoint.path.stat().st_size
    if claimed > _LARGEST_GROWTH * size:
        raise UserError(
            f"{printable(checkpoint.path)} claims {claimed:,} bytes of weights in a file of {size:,}: refused"
        )


def card(checkpoint: Checkpoint, plan: Plan, digest: str, known: str | None) -> dict[str, Any]:
    """Returns the model card: system, all arguments, and where the weights come from."""
    source = rules.SOURCES[plan.recognised.source]
    arguments = targets.arguments(plan.system, plan.arguments)
    return {
        "system": plan.system,
        "arguments": arguments,
        "licence": source.licence if known else source.licence_note,
        "source": {
            "kind": plan.recognised.source,
            "title": source.title,
            "published": known,
            "file": checkpoint.path.name,
            "container": checkpoint.container,
            "root": checkpoint.root,
            "prefix": checkpoint.prefix,
            "sha256": digest,
            "size": checkpoint.path.stat().st_size,
        },
        "converter": f"vos3d_jax {vos3d_jax.__version__}",
        "report": {
            "tensors": plan.counts(),
            "unused": dict(collections.Counter(row.note for row in plan.rows if row.status == plans.UNUSED)),
            "random": plan.random,
            "allowed": [f"{row.name or row.path}: {row.status}" for row in plan.rows if row.allowed],
        },
    }


def _compared(checkpoint: Checkpoint, plan: Plan, row: plans.TensorRow) -> plans.TensorRow:
    """The row of a second name, which must hold the values of the first; aliases in the file do by nature."""
    live = rules.SOURCES[plan.recognised.source].alias_of(row.name)
    if live not in checkpoint or checkpoint[live].identity == checkpoint[row.name].identity:
        return row
    one, other = checkpoint[live].numpy(), checkpoint[row.name].numpy()
    if one.dtype == other.dtype and np.array_equal(targets.bits(one), targets.bits(other)):
        return row
    return dataclasses.replace(row, status=plans.DIFFERS, note=f"should repeat {live}")


def _filled(checkpoint: Checkpoint, view: np.ndarray, row: plans.TensorRow) -> plans.TensorRow:
    """The row of a tensor that is copied into `view`: a problem when a trained network has no such values."""
    tensor = checkpoint[row.name]
    array = rules.from_torch(row.path, tensor.numpy())
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, and is found below
        _copy(view, array)
    # Extremes need no second array, and NaN is one.
    lowest, highest = view.min(initial=np.inf), view.max(initial=-np.inf)
    if view.size and not (np.isfinite(lowest) and np.isfinite(highest)):
        ours = np.count_nonzero(~np.isfinite(view))
        beyond = ours > np.count_nonzero(~np.isfinite(array))
        what = f"beyond float32, in {tensor.dtype}" if beyond else "not finite"
        note = f"{ours} of {view.size} values are {what}"
    elif view.size and lowest < 0 and row.path.endswith("/var"):
        note = f"a variance of {lowest:.3g}"
    else:
        return row
    return dataclasses.replace(row, status=plans.BROKEN, note=note)


def _copy(target: np.ndarray, source: np.ndarray) -> None:
    """target[...] = source, whose axes lie the other way round: by blocks, in a third of the time."""
    if target.ndim < 2:
        target[...] = source
        return
    for start in range(0, target.shape[-2], _INPUTS):
        inputs = slice(start, start + _INPUTS)
        target[..., inputs, :] = source[..., inputs, :]


def _sha256(path: Path) -> str:
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise UserError(f"{printable(path)} cannot be read: {error.strerror}") from None
