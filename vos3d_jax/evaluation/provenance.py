"""Where scores come from, as scores.json keeps it: fingerprints, meaning of masks, versions, options."""

import hashlib
import json
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import scipy

import vos3d_jax
from vos3d_jax.evaluation.runs import Run
from vos3d_jax.media.encodings import Meaning


def versions() -> dict[str, str]:
    """Of the software that scores depend on."""
    return {
        "vos3d_jax": vos3d_jax.__version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "opencv": cv2.__version__,
        "scipy": scipy.__version__,
    }


def fingerprint(runs: Sequence[Run], digests: Sequence[str]) -> str:
    """The sha256 of those of the runs."""
    lines = (f"{run.name} {digest}\n" for run, digest in zip(runs, digests, strict=True))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def overlap(masks: Path, data_dir: str | Path | None) -> tuple[str, ...]:
    """A note where results and data lie in one another, so that one may have been taken for the other."""
    if data_dir is None:
        return ()
    ours, theirs = masks.resolve(), Path(data_dir).resolve()
    if ours.is_relative_to(theirs):
        return (f"the results, {masks}, lie in the data, {data_dir}: see that they are no true masks",)
    if theirs.is_relative_to(ours):
        return (f"the data, {data_dir}, lie in the results, {masks}: see that these are no true masks",)
    return ()


def meanings(runs: Sequence[Run], meanings: Sequence[Meaning | None], usual: str) -> dict[str, list[str]]:
    """What the masks' values mean, in words, and of which videos they mean that."""
    found: dict[str, list[str]] = {}
    for run, meaning in zip(runs, meanings, strict=True):
        names = found.setdefault(usual if meaning is None else meaning.words, [])
        if run.video.name not in names:
            names.append(run.video.name)
    return found


def asked(options: dict[str, Any]) -> dict[str, Any]:
    """What was asked for, as scores.json keeps it."""
    return json.loads(json.dumps({name: value for name, value in options.items() if value is not None}))
