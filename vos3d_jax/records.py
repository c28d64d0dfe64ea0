"""The one rule for results that are there already.

Beside its results every command keeps a record of what they are of: input, weights, settings. The same
command goes on where one that was killed stopped, and makes nothing twice: what is finished is shown again.
Results of anything else, or without a record, are never replaced without a word: the command says what
differs, and stops, unless it is told `--overwrite`. That holds for unfinished results, too.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vos3d_jax.errors import UserError

Record = Mapping[str, Any]  # JSON values; those of a mapping in it stand for themselves


def read(path: Path) -> dict[str, Any]:
    """Returns the record in a file; {} where there is none that can be read."""
    try:
        record = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}


def same(before: Record, now: Record) -> bool:
    """Returns whether what is there is of all that `now` says; a record may say more, for people."""
    return _plain(now).items() <= _plain(before).items()


def differences(before: Record, now: Record) -> str:
    """Returns what of `now` was otherwise, as "with overlap 3 (now 0), other weights"; "" if unknown."""
    before, now = _plain(before), _plain(now)
    changed = [name for name in now if name in before and before[name] != now[name]]
    # Digests and lists say nothing to people.
    legible = [name for name in changed if len(str(now[name])) < 40 and not isinstance(now[name], list)]
    words = [f"{name} {before[name]} (now {now[name]})" for name in legible]
    words += [f"other {name}" for name in changed if name not in legible]
    return f"with {', '.join(words)}" if words else ""


def occupied(
    place: Path, difference: str, flag: str = "--output", overwrite: str = "--overwrite"
) -> UserError:
    """Returns the error that results of something else are in `place`, where `flag` leads."""
    what = f", {difference}" if difference else ""
    return UserError(f"{place} is there already{what}: give another {flag}, or add {overwrite}")


def unfinished(
    place: Path, what: str, difference: str, flag: str = "--output", overwrite: str = "--overwrite"
) -> UserError:
    """Returns the error that `place` holds what an unfinished run of something else has done."""
    of = f", {difference}" if difference else ""
    return UserError(
        f"{place} holds {what}{of}: give the command of that run again, which goes on, or another {flag}, "
        f"or add {overwrite}"
    )


def _plain(record: Record) -> dict[str, Any]:
    """The record with the values of its mappings beside the others, as JSON gives them back."""
    flat: dict[str, Any] = {}
    for name, value in json.loads(json.dumps(record)).items():
        flat |= value if isinstance(value, dict) else {name: value}
    return flat
