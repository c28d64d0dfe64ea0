"""The folder of a run belongs to one config and its data, as `config.json` and `data.json` say."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from vos3d_jax import storage
from vos3d_jax.errors import UserError
from vos3d_jax.media.images import write_file
from vos3d_jax.training.stages import Config

# What may change between two starts of one run: it moves nothing in the network that comes out.
_FREE = ("name", "data_dir", "mesh", "checkpoint_seconds", "log_seconds", "log_steps", "evaluation")


def is_claimed(workdir: Path) -> bool:
    """Whether a run has begun in `workdir`."""
    return (workdir / "config.json").exists()


def claim(workdir: Path, config: Config, data: Mapping[str, Mapping[str, str]]) -> None:
    """Writes `config.json` and `data.json` into `workdir`, or compares with those that are there.

    Args:
      workdir: the folder, made if missing.
      config: the run.
      data: `sources.identities` of what it learns from.

    Raises:
      UserError: the folder cannot be written, or is the run of another config or of other data (differences
        are named).
    """
    storage.make_folder(workdir)
    ours = json.loads(json.dumps(dataclasses.asdict(config)))
    if theirs := _read(workdir / "data.json"):
        _refuse(workdir, "other data", "the data", _other_videos(theirs, data))
    if theirs := _read(workdir / "config.json"):
        _refuse(workdir, "another config", "the config", _differences(theirs, ours))
    for name, values in (("config.json", ours), ("data.json", data)):
        write_file(workdir / name, (json.dumps(values, indent=2) + "\n").encode())


def _read(path: Path) -> dict[str, Any] | None:
    if not path.exists():
        return None
    try:
        return json.loads(path.read_text())
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}): give another --workdir") from error
    except ValueError as error:
        raise UserError(f"{path} is not JSON ({error}): remove it, or give another --workdir") from error


def _refuse(workdir: Path, what: str, mend: str, differences: Sequence[str]) -> None:
    if differences:
        shown = "; ".join(differences[:3]) + ("; ..." if len(differences) > 3 else "")
        raise UserError(
            f"{workdir} holds the run of {what} ({shown}): give another --workdir (to go on from its network,"
            f" add --config.init_from={workdir}), or {mend} that it was begun with"
        )


def _other_videos(theirs: dict[str, dict[str, str]], ours: Mapping[str, Mapping[str, str]]) -> list[str]:
    return [
        f"{part}: {name} is {ours[part].get(name, 'not there')}, it was {theirs[part].get(name, 'not there')}"
        for part in ours.keys() & theirs.keys()
        for name in {**ours[part], **theirs[part]}
        if ours[part].get(name) != theirs[part].get(name)
    ]


def _differences(theirs: dict[str, Any], ours: dict[str, Any]) -> list[str]:
    theirs = {"init_from": "", **theirs}  # runs begun before there was such a key
    theirs, ours = (dict(_leaves({k: v for k, v in one.items() if k not in _FREE})) for one in (theirs, ours))
    missing = "nothing"
    return [
        f"{key} is {json.dumps(ours.get(key, missing))}, there it was {json.dumps(theirs.get(key, missing))}"
        for key in sorted(theirs.keys() | ours.keys())
        if theirs.get(key, missing) != ours.get(key, missing)
    ]


def _leaves(value: Any, path: str = "") -> list[tuple[str, Any]]:
    if isinstance(value, dict) and value:
        items = [(f"{path}.{key}" if path else key, item) for key, item in value.items()]
    elif isinstance(value, list) and any(isinstance(item, dict | list) for item in value):
        items = [(f"{path}[{index}]", item) for index, item in enumerate(value)]
    else:
        return [(path, value)]
    return [leaf for name, item in items for leaf in _leaves(item, name)]
