"""What a conversion will do with every tensor of a file, before any value is read.

A plan holds one row per name: the tensors of the file in its order, then what the network misses. All
problems of a file are rows of one plan, so that they are reported together.
"""

import collections
import dataclasses
import fnmatch
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from vos3d_jax.errors import UserError
from vos3d_jax.porting import networks, rules, targets
from vos3d_jax.porting.networks import NETWORKS
from vos3d_jax.porting.readers import Checkpoint, LazyTensor
from vos3d_jax.porting.readers.file_bytes import listed, printable
from vos3d_jax.porting.recognise import Recognised, recognise

# What a row can say; the last ones are problems.
USED, ALIAS, CONSTANT, UNUSED, RANDOM = "used", "alias", "constant", "unused", "random"
UNKNOWN, MISSING, SHAPE, DTYPE, DIFFERS = "unknown", "missing", "wrong shape", "wrong type", "different"
BROKEN = "broken"  # values that no trained network has; known only when they are read
PROBLEMS = (UNKNOWN, MISSING, SHAPE, DTYPE, DIFFERS, BROKEN)
STATUSES = (USED, ALIAS, CONSTANT, UNUSED, RANDOM, *PROBLEMS)


@dataclasses.dataclass(frozen=True)
class TensorRow:
    """One tensor of the file, or one that the network needs and the file does not have.

    Attributes:
        name: in the file, without wrapper and prefix; "" for what is random as no file of the kind has it.
        status: one of `STATUSES`.
        path: ours, unstacked; "" where there is none.
        shape: in the file; None where it is missing.
        expected: PyTorch's shape of our tensor; None where there is none.
        note: why, in words.
        allowed: a problem that the user accepts.
    """

    name: str
    status: str
    path: str = ""
    shape: tuple[int, ...] | None = None
    expected: tuple[int, ...] | None = None
    note: str = ""
    allowed: bool = False

    @property
    def is_problem(self) -> bool:
        """Whether this row forbids the conversion."""
        return self.status in PROBLEMS and not self.allowed


@dataclasses.dataclass(frozen=True)
class Plan:
    """What becomes of a file.

    Attributes:
        recognised: what the file is.
        system: the network that is filled.
        arguments: all that is known of its arguments; the rest has the system's defaults.
        rows: one per name.
    """

    recognised: Recognised
    system: str
    arguments: dict[str, Any]
    rows: tuple[TensorRow, ...]

    @property
    def problems(self) -> list[TensorRow]:
        """The rows that forbid the conversion."""
        return [row for row in self.rows if row.is_problem]

    @property
    def random(self) -> list[str]:
        """Our paths that the file does not fill."""
        return [row.path for row in self.rows if row.path and row.status not in (USED, BROKEN)]

    def counts(self) -> dict[str, int]:
        """Returns {status: rows}, for what occurs."""
        counted = collections.Counter(row.status for row in self.rows)
        return {status: counted[status] for status in STATUSES if status in counted}


def make(
    checkpoint: Checkpoint,
    *,
    into: str | None = None,
    settings: Mapping[str, Any] | None = None,
    allow: Sequence[str] = (),
) -> Plan:
    """Returns what converting `checkpoint` would do.

    Args:
        checkpoint: an opened file; only names, shapes and types are looked at, and the input constants.
        into: a system of which a backbone's file fills the encoder; None takes what the file is.
        settings: arguments that the file cannot show (epsilon, strides), instead of the source's own.
        allow: patterns (`fc.*`) of names or of our paths whose problems are accepted.

    Raises:
        UserError: nothing known, no network for it here, or no head and no `into`.
    """
    recognised = recognise(checkpoint.path, checkpoint.shapes, checkpoint.roots)
    system, arguments = _target(checkpoint, recognised, into)
    held = _constants(checkpoint, recognised, system, settings or {})
    arguments |= held
    if settings:
        arguments |= settings
        targets.arguments(system, arguments)  # a person may err; what is recognised is a network
    whole = targets.shapes(system, arguments)
    part = "" if system == recognised.system else NETWORKS[system].part
    inner = [path for path in whole if path.startswith(part)]
    names = rules.torch_names(inner, recognised.source, {"backbone": recognised.backbone, **arguments})
    planar = rules.SOURCES[recognised.source].planar
    expected = {path: rules.torch_shape(path, shape, planar=planar) for path, shape in whole.items()}
    rows = _rows(checkpoint, recognised, system, held, names, expected)
    rows += [
        TensorRow("", RANDOM, path, None, expected[path], "not in a backbone file: random weights")
        for path in whole
        if path not in names
    ]
    return Plan(recognised, system, arguments, with_allowed(rows, allow))


def with_allowed(rows: Sequence[TensorRow], patterns: Sequence[str]) -> tuple[TensorRow, ...]:
    """Returns the rows, with those problems accepted whose name or path a pattern matches."""

    def allowed(row: TensorRow) -> bool:
        texts = [text for text in (row.name, row.path) if text and row.status in PROBLEMS]
        return any(fnmatch.fnmatchcase(text, pattern) for pattern in patterns for text in texts)

    return tuple(dataclasses.replace(row, allowed=True) if allowed(row) else row for row in rows)


def refuse(checkpoint: Checkpoint, plan: Plan) -> None:
    """Raises one UserError with all problems of the plan; returns when there is none."""
    problems = plan.problems
    if not problems:
        return
    parts = []
    for status in PROBLEMS:
        rows = [row for row in problems if row.status == status]
        if rows:
            names = [(row.name or row.path) + (f" ({row.note})" if row.note else "") for row in rows]
            parts.append(f"{len(rows)} {status}: {listed(names)}")
    raise UserError(
        f"{printable(checkpoint.path)} looks like a {plan.recognised.title}, but {'; '.join(parts)}. Nothing "
        "was written; `port_weights convert --allow=PATTERN` accepts what you name, `inspect` lists the "
        "tensors"
    )


def _target(checkpoint: Checkpoint, recognised: Recognised, into: str | None) -> tuple[str, dict[str, Any]]:
    path, own = printable(checkpoint.path), recognised.system
    if not rules.SOURCES[recognised.source].systems:
        raise UserError(f"{path} is a {recognised.title}: it is recognised, but its network is not here yet")
    takers = networks.takers(recognised.backbone)
    if into is None and own is None:
        raise UserError(
            f"{path} is a {recognised.title} without a classification head: "
            f"{' or '.join(f'--into={taker}' for taker in takers)} makes it the encoder of another network"
        )
    if into in (None, own):
        return own, dict(recognised.arguments)
    if into not in takers:
        systems = " or into ".join(dict.fromkeys((*takers, own or takers[0])))
        raise UserError(f"{path} is a {recognised.title}: it goes into {systems}, not {into!r}")
    network, backbone = NETWORKS[into], recognised.backbone
    kept = {name: recognised.arguments[name] for name in network.kept if name in recognised.arguments}
    # With the constants that its authors gave this backbone.
    return into, {**kept, "backbone": backbone, **rules.SOURCES[network.namings[backbone]].settings[backbone]}


def _constants(
    checkpoint: Checkpoint, recognised: Recognised, system: str, settings: Mapping[str, Any]
) -> dict[str, list[float]]:
    """Input constants that the file itself holds, unless `settings` has others."""
    if system != recognised.system:
        return {}
    held = {}
    for argument, name in rules.SOURCES[recognised.source].constants.items():
        if argument not in settings and name in checkpoint and checkpoint[name].size == 3:
            with np.errstate(over="ignore"):
                values = checkpoint[name].numpy().reshape(3).astype(np.float32)
            if not np.isfinite(values).all() or (argument == "std" and not values.all()):
                raise UserError(
                    f"{printable(checkpoint.path)}: {name} holds {values.tolist()}, which no input can be "
                    f"normalised with: give the right ones as --set={argument}=[..,..,..]"
                )
            # The shortest decimal that this float32 stands for.
            held[argument] = [float(str(value)) for value in values]
    return held


def _rows(
    checkpoint: Checkpoint,
    recognised: Recognised,
    system: str,
    held: Mapping[str, list[float]],
    names: Mapping[str, str],
    expected: Mapping[str, tuple[int, ...]],
) -> list[TensorRow]:
    source = rules.SOURCES[recognised.source]
    paths = {name: path for path, name in names.items()}
    constants = {name: argument for argument, name in source.constants.items()}
    rows = []
    for name, tensor in checkpoint.items():
        shape, path, note = tensor.shape, paths.get(name, ""), ""
        if path:
            status, note = _used(tensor, expected[path])
        elif (live := source.alias_of(name)) in paths:
            status, note = ALIAS, f"another name of {live}"
            if live in checkpoint and checkpoint[live].shape != shape:
                status, note = SHAPE, f"{list(shape)}, but {live} is {list(checkpoint[live].shape)}"
        elif constants.get(name) in held:
            status, note = CONSTANT, "read into the card"
        elif name in constants and tensor.size != 3:
            status, note = SHAPE, f"{list(shape)}, expected three numbers"
        elif name in constants:
            status, note = UNUSED, "input constants, for which others are taken"
        elif (why := source.why_unused(name)) is not None:
            status, note = UNUSED, why
        elif system != recognised.system and source.is_head(name):
            status, note = UNUSED, "classes of the pretraining, not in a segmentation network"
        else:
            status = UNKNOWN
        rows.append(TensorRow(name, status, path, shape, expected.get(path), note))
    missing = ((path, name) for path, name in names.items() if name not in checkpoint)
    return rows + [TensorRow(name, MISSING, path, None, expected[path]) for path, name in missing]


def _used(tensor: LazyTensor, expected: tuple[int, ...]) -> tuple[str, str]:
    """Status and note of a tensor that fills one of ours, whose shape is `expected` there."""
    if tensor.shape != expected:
        return SHAPE, f"{list(tensor.shape)}, expected {list(expected)}"
    if tensor.dtype.kind in "iubc":
        return DTYPE, f"{tensor.dtype}, expected float32"
    return USED, "" if tensor.dtype == np.float32 else f"{tensor.dtype}, kept as float32"
