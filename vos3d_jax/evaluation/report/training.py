"""The report's section on the run that a network is from: its curves and its settings."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vos3d_jax.evaluation.report.charts import Chart, lines
from vos3d_jax.schema import leaves

_POINTS = 120  # of a curve: each is the mean of its share of the lines
_TITLES = {"loss": "Loss", "iou": "IoU on training clips", "score": "Score on held-out frames"}
_NO_CURVES = ("step", "stage", "learning_rate", "clips_per_second", "data_wait")


@dataclass(frozen=True)
class Training:
    """A run.

    Attributes:
        config: its settings.
        metrics: the lines of its `metrics.jsonl`.
    """

    config: Mapping[str, Any]
    metrics: Sequence[Mapping[str, Any]]


def find_training(workdir: str | Path) -> Training | None:
    """Returns the run whose folder `workdir` is; None where it holds none that can be read."""
    try:
        config = json.loads((Path(workdir) / "config.json").read_text("utf-8"))
        lines = (Path(workdir) / "metrics.jsonl").read_text("utf-8").splitlines()
        return Training(config, [json.loads(line) for line in lines])
    except (OSError, ValueError):
        return None


def section(run: Training) -> dict[str, Any]:
    """Returns the curves of a run, and all settings with their names."""
    settings = [(path, json.dumps(value)) for path, value in leaves(run.config)]
    return {"charts": _curves(run), "settings": settings}


def _curves(run: Training) -> list[Chart]:
    charts = []
    for name in dict.fromkeys(key for line in (_TITLES, *run.metrics) for key in line):
        title, known = _TITLES.get(name, name), [line for line in run.metrics if _is_finite(line.get(name))]
        known = [(line["step"], line[name]) for line in known]
        if len(known) < 2 or name in _NO_CURVES:
            continue
        steps, values = zip(*known, strict=True)
        parts = np.array_split(np.asarray(values, float), min(_POINTS, len(values)))
        means = [float(part.mean()) for part in parts]
        top = max(1.0, *means)
        words = f"first {means[0]:.3f}, last {means[-1]:.3f}"
        label = f"{title} over {steps[-1]} steps, from 0 to {top:.3g}: {words}"
        ends = (f"step {steps[0]}", f"step {steps[-1]}")
        charts.append(Chart(title, words, label, lines([(name, means)], top), ends))
    return charts


def _is_finite(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)
