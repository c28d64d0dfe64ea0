"""The folder of a run belongs to one config and its data, as `config.json` and `data.json` say."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from vos3d_jax import files
from vos3d_jax.errors import UserError
from vos3d_jax.recipe import Config, plain
from vos3d_jax.schema import leaves
from vos3d_jax.training.stage_data import HELD_OUT

# What may change between two starts of one run: it moves nothing in the network that comes out.
_FREE = ("name", "data_dir", "mesh", "checkpoint_seconds", "log_seconds", "log_steps", "evaluation")
# Figures of held-out frames rank a run's checkpoints, so that all of them must be of one kind.
_RANKING = ("benchmark", "predictor", "quick_videos", "quick_frames")


def is_claimed(workdir: Path) -> bool:
    """Returns whether a run has begun in `workdir`."""
    return (workdir / "config.json").exists()


def claim(workdir: Path, config: Config, data: Mapping[str, Mapping[str, str]]) -> None:
    """Writes `config.json` and `data.json` into `workdir`, or compares with those that are there.

    Args:
        workdir: the folder, made if missing.
        config: the run.
        data: `stage_data.identities` of what it learns from and is scored on. A part that the folder knows
            nothing of, as of a run from before it was kept, is taken on.

    Raises:
        UserError: the folder cannot be written, or is the run of another config or of other data (differences
            are named).
    """
    files.make_folder(workdir)
    ours = plain(config)
    known = _read(workdir / "data.json") or {}
    _refuse(workdir, "other data", "the data", _other_videos(known, data, config.evaluation.data.name))
    if theirs := _read(workdir / "config.json"):
        _refuse(workdir, "another config", "the config", _differences(theirs, ours))
    for name, values in (("config.json", ours), ("data.json", known | data)):
        files.write(workdir / name, (json.dumps(values, indent=2) + "\n").encode())


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


def _other_videos(
    theirs: dict[str, dict[str, str]], ours: Mapping[str, Mapping[str, str]], scored_on: str
) -> list[str]:
    found = []
    for part in [part for part in ours if part in theirs]:
        known, now = theirs[part], ours[part]
        # The name of a part of the training goes on with its split and the reader's options.
        what = f"held-out videos of data set {scored_on}" if part == HELD_OUT else ""
        what = what or f"training videos of data set {part.split()[0]}"
        found += [
            f"{what}: {name} is {now.get(name, 'not there')}, it was {known.get(name, 'not there')}"
            for name in {**now, **known}
            if now.get(name) != known.get(name)
        ]
    return found


def _differences(theirs: dict[str, Any], ours: dict[str, Any]) -> list[str]:
    theirs = _as_written_today(theirs)
    ranked = all(one["evaluation"].get("every", 0) != 0 for one in (theirs, ours))
    theirs, ours = (dict(leaves(_fixed(one, ranked))) for one in (theirs, ours))
    missing = "nothing"
    return [
        f"{key} is {json.dumps(ours.get(key, missing))}, there it was {json.dumps(theirs.get(key, missing))}"
        for key in sorted(theirs.keys() | ours.keys())
        if theirs.get(key, missing) != ours.get(key, missing)
    ]


def _as_written_today(config: dict[str, Any]) -> dict[str, Any]:
    """The config of a run that an older version may have begun, when some keys were not, or had no use."""
    for stage in config["stages"]:
        stage.setdefault("task", "clip")
        for part in stage["data"]:
            part.pop({"video": "synthesis", "still": "sampling"}.get(part["kind"]), None)
            part["kind"] = "clip" if part["kind"] == "video" else part["kind"]
    evaluation = config["evaluation"]
    settings = {
        key: evaluation[key] for key in ("clip_length", "overlap", "tail", "short_edge") if key in evaluation
    }
    return {"init_from": "", **config, "evaluation": {"predictor": settings, **evaluation}}


def _fixed(config: dict[str, Any], ranked: bool) -> dict[str, Any]:
    """What may not change in `config`; `ranked` says that held-out frames are scored while it trains."""
    fixed = {key: value for key, value in config.items() if key not in _FREE}
    if ranked:
        fixed["evaluation"] = {key: config["evaluation"].get(key) for key in _RANKING}
    return fixed
