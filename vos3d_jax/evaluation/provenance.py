"""Where scores come from, as scores.json keeps it: fingerprints, meaning of masks, versions, options."""

import hashlib
import json
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import scipy

import vos3d_jax
from vos3d_jax.evaluation.runs import Run
from vos3d_jax.media.encodings import Meaning


def versions() -> dict[str, str]:
    """Returns those of the software that scores depend on."""
    return {
        "vos3d_jax": vos3d_jax.__version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "opencv": cv2.__version__,
        "scipy": scipy.__version__,
    }


def fingerprint(runs: Sequence[Run], digests: Sequence[str]) -> str:
    """Returns the sha256 of those of the runs."""
    lines = (f"{run.name} {digest}\n" for run, digest in zip(runs, digests, strict=True))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def overlap(masks: Path, data_dir: str | Path | None) -> tuple[str, ...]:
    """Returns a note where results and data lie in one another: one may have been taken for the other."""
    if data_dir is None:
        return ()
    ours, theirs = masks.resolve(), Path(data_dir).resolve()
    if ours.is_relative_to(theirs):
        return (f"the results, {masks}, lie in the data, {data_dir}: see that they are no true masks",)
    if theirs.is_relative_to(ours):
        return (f"the data, {data_dir}, lie in the results, {masks}: see that these are no true masks",)
    return ()


def meanings(runs: Sequence[Run], meanings: Sequence[Meaning | None], usual: str) -> dict[str, list[str]]:
    """Returns what the masks' values mean, in words, and of which videos they mean that."""
    videos: dict[str, dict[str, None]] = {}
    for run, meaning in zip(runs, meanings, strict=True):
        videos.setdefault(usual if meaning is None else meaning.words, {})[run.video.name] = None
    return {words: list(names) for words, names in videos.items()}


def asked(options: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what was asked for, as scores.json keeps it."""
    return json.loads(json.dumps({name: value for name, value in options.items() if value is not None}))
