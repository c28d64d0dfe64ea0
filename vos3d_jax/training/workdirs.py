"""The folder of a run belongs to one config: `config.json` says which, another one is refused."""

import dataclasses
import json
from pathlib import Path
from typing import Any

from vos3d_jax import storage
from vos3d_jax.errors import UserError
from vos3d_jax.training.stages import Config

# What may change between two starts of one run: it moves nothing in the network that comes out.
_FREE = ("name", "data_dir", "mesh", "checkpoint_seconds", "log_seconds", "log_steps", "evaluation")


def is_claimed(workdir: Path) -> bool:
    """Whether a run has begun in `workdir`."""
    return (workdir / "config.json").exists()


def claim(workdir: Path, config: Config) -> None:
    """Writes `config.json` into `workdir`, or compares it with the one there.

    Raises:
      UserError: the folder cannot be written, or is the run of another config (differences are named).
    """
    storage.make_folder(workdir)
    path = workdir / "config.json"
    ours = json.loads(json.dumps(dataclasses.asdict(config)))
    if path.exists():
        try:
            theirs = json.loads(path.read_text())
        except OSError as error:
            raise UserError(f"{path} cannot be read ({error.strerror}): give another --workdir") from error
        except ValueError as error:
            raise UserError(f"{path} is not JSON ({error}): remove it, or give another --workdir") from error
        differences = _differences(theirs, ours)
        if differences:
            shown = "; ".join(differences[:3]) + ("; ..." if len(differences) > 3 else "")
            raise UserError(
                f"{workdir} holds the run of another config ({shown}): give another --workdir, or the"
                " config that it was begun with"
            )
    temporary = path.with_suffix(".tmp")
    with storage.writing(path):
        temporary.write_text(json.dumps(ours, indent=2) + "\n")
        temporary.replace(path)


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
