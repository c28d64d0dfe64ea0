"""What a conversion will do with every tensor of a file, before any value is read.

A plan holds one row per name: the tensors of the file in its order, then what the network misses. All
problems of a file are rows of one plan, so that they are reported together.
"""

import dataclasses
import fnmatch
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from vos3d_jax.errors import UserError
from vos3d_jax.porting import rules, targets
from vos3d_jax.porting.readers import Checkpoint
from vos3d_jax.porting.readers.file_bytes import listed, printable
from vos3d_jax.porting.recognise import Recognised, recognise

# What a row can say; the last ones are problems.
USED, ALIAS, CONSTANT, UNUSED, RANDOM = "used", "alias", "constant", "unused", "random"
UNKNOWN, MISSING, SHAPE, DTYPE, DIFFERS = "unknown", "missing", "wrong shape", "wrong type", "different"
BROKEN = "broken"  # values that no trained network has; known only when they are read
PROBLEMS = (UNKNOWN, MISSING, SHAPE, DTYPE, DIFFERS, BROKEN)
STATUSES = (USED, ALIAS, CONSTANT, UNUSED, RANDOM, *PROBLEMS)


@dataclasses.dataclass(frozen=True)
class Row:
    """One tensor of the file, or one that the network needs and the file does not have.

    Attributes:
      name: in the file, without wrapper and prefix; "" for what is random because no file of the kind has it.
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
    rows: tuple[Row, ...]

    @property
    def problems(self) -> list[Row]:
        """The rows that forbid the conversion."""
        return [row for row in self.rows if row.is_problem]

    @property
    def random(self) -> list[str]:
        """Our paths that the file does not fill."""
        return [row.path for row in self.rows if row.path and row.status not in (USED, BROKEN)]

    def count(self, status: str) -> int:
        """How many rows have this status."""
        return sum(row.status == status for row in self.rows)

    def counts(self) -> dict[str, int]:
        """{status: rows}, for what occurs."""
        return {status: self.count(status) for status in STATUSES if self.count(status)}


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
      into: a system whose encoder the file fills ("dcseg" for a backbone); None takes what the file is.
      settings: arguments that the file cannot show (epsilon, strides), instead of the source's own.
      allow: patterns (`fc.*`) of names or of our paths whose problems are accepted.

    Raises:
      UserError: nothing known, no network for it here, or no head and no `into`.
    """
    shapes = {name: tuple(tensor.shape) for name, tensor in checkpoint.items()}
    recognised = recognise(checkpoint.path, shapes, checkpoint.roots)
    system, arguments = _target(checkpoint, recognised, into)
    held = _constants(checkpoint, recognised, system, settings or {})
    arguments |= held
    if settings:
        arguments |= settings
        targets.arguments(system, arguments)  # a person may err; what is recognised is a network
    whole = targets.shapes(system, arguments)
    inner = {path for path in whole if system == recognised.system or path.startswith("encoder/")}
    words = {"backbone": recognised.backbone, **arguments}
    names = rules.torch_names([path for path in whole if path in inner], recognised.source, words)
    rows = _rows(checkpoint, recognised, system, held, names, whole)
    rows += [
        Row("", RANDOM, path, None, rules.torch_shape(path, shape), "not in a backbone file: random weights")
        for path, shape in whole.items()
        if path not in inner
    ]
    return Plan(recognised, system, arguments, with_allowed(rows, allow))


def with_allowed(rows: Sequence[Row], patterns: Sequence[str]) -> tuple[Row, ...]:
    """The rows, with those problems accepted whose name or path a pattern matches."""

    def allowed(row: Row) -> bool:
        texts = [text for text in (row.name, row.path) if text]
        return any(fnmatch.fnmatchcase(text, pattern) for pattern in patterns for text in texts)

    return tuple(
        dataclasses.replace(row, allowed=True) if row.status in PROBLEMS and allowed(row) else row
        for row in rows
    )


def refuse(checkpoint: Checkpoint, plan: Plan) -> None:
    """Raises one UserError with all problems of the plan; returns when there is none."""
    problems = plan.problems
    if not problems:
        return
    parts = []
    for status in PROBLEMS:
        found = [row for row in problems if row.status == status]
        if found:
            names = [(row.name or row.path) + (f" ({row.note})" if row.note else "") for row in found]
            parts.append(f"{len(found)} {status}: {listed(names)}")
    raise UserError(
        f"{printable(checkpoint.path)} looks like a {plan.recognised.title}, but {'; '.join(parts)}. Nothing "
        "was written; `port_weights convert --allow=PATTERN` accepts what you name, `inspect` lists the "
        "tensors"
    )


def _target(checkpoint: Checkpoint, recognised: Recognised, into: str | None) -> tuple[str, dict[str, Any]]:
    path, own = printable(checkpoint.path), recognised.system
    if not rules.SOURCES[recognised.source].systems:
        raise UserError(f"{path} is a {recognised.title}: it is recognised, but its network is not here yet")
    if into is None or into == own:
        if own is None:
            raise UserError(
                f"{path} is a {recognised.title} without a classification head: --into=dcseg makes it the "
                f"encoder of a segmentation network"
            )
        return own, dict(recognised.arguments)
    if into != "dcseg":
        systems = " or into ".join(dict.fromkeys(("dcseg", own or "dcseg")))
        raise UserError(f"{path} is a {recognised.title}: it goes into {systems}, not {into!r}")
    kept = ("depth", "width", "separation")
    arguments = {name: recognised.arguments[name] for name in kept if name in recognised.arguments}
    arguments["backbone"] = recognised.backbone
    # As 3DC-Seg does with its backbones: the constants of its segmentation network.
    settings = rules.SOURCES["3dcseg"].settings[recognised.backbone]
    return into, {**arguments, **settings}


def _constants(
    checkpoint: Checkpoint, recognised: Recognised, system: str, settings: Mapping[str, Any]
) -> dict[str, list[float]]:
    """Input constants that the file itself holds, unless `settings` has others."""
    if system != recognised.system:
        return {}
    found = {}
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
            found[argument] = [float(str(value)) for value in values]
    return found


def _rows(
    checkpoint: Checkpoint,
    recognised: Recognised,
    system: str,
    held: Mapping[str, list[float]],
    names: Mapping[str, str],
    whole: Mapping[str, tuple[int, ...]],
) -> list[Row]:
    source = rules.SOURCES[recognised.source]
    paths = {name: path for path, name in names.items()}
    constants = {name: argument for argument, name in source.constants.items()}
    rows = []
    for name, tensor in checkpoint.items():
        shape = tuple(tensor.shape)
        if name in paths:
            path = paths[name]
            expected = rules.torch_shape(path, whole[path])
            rows.append(Row(name, *_status(tensor, shape, expected, path)))
        elif (live := source.alias_of(name)) in paths:
            status, note = ALIAS, f"another name of {live}"
            if shape != tuple(checkpoint[live].shape if live in checkpoint else shape):
                status, note = SHAPE, f"{list(shape)}, but {live} is {list(checkpoint[live].shape)}"
            rows.append(Row(name, status, "", shape, None, note))
        elif constants.get(name) in held:
            rows.append(Row(name, CONSTANT, "", shape, None, "read into the card"))
        elif name in constants and tensor.size != 3:
            rows.append(Row(name, SHAPE, "", shape, None, f"{list(shape)}, expected three numbers"))
        elif name in constants:
            rows.append(Row(name, UNUSED, "", shape, None, "input constants, for which others are taken"))
        elif why := source.why_unused(name) or (system != recognised.system and _head_unused(name)):
            rows.append(Row(name, UNUSED, "", shape, None, why))
        else:
            rows.append(Row(name, UNKNOWN, "", shape))
    for path, name in names.items():
        if name not in checkpoint:
            expected = rules.torch_shape(path, whole[path])
            rows.append(Row(name, MISSING, path, None, expected))
    return rows


def _status(
    tensor: Any, shape: tuple[int, ...], expected: tuple[int, ...], path: str
) -> tuple[str, str, tuple[int, ...], tuple[int, ...], str]:
    if shape != expected:
        return SHAPE, path, shape, expected, f"{list(shape)}, expected {list(expected)}"
    kind = np.dtype(tensor.dtype)
    if kind.kind in "iub" or kind.kind == "c":
        return DTYPE, path, shape, expected, f"{kind}, expected float32"
    return USED, path, shape, expected, "" if kind == np.float32 else f"{kind}, kept as float32"


def _head_unused(name: str) -> str | None:
    heads = ("fc.", "cls_head.", "blocks.5.", "last_out_")
    return "classes of the pretraining, not in a segmentation network" if name.startswith(heads) else None
