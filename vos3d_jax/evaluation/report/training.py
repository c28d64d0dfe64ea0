"""The report's section on the run that a network is from: its curves and its settings."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vos3d_jax.evaluation.report.charts import Chart, lines

_POINTS = 120  # of a curve: each is the mean of its share of the lines
_CURVES = (("loss", "Loss"), ("iou", "IoU on training clips"), ("score", "Score on held-out frames"))


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
    return {"charts": _curves(run), "settings": list(_leaves(run.config))}


def _curves(run: Training) -> list[Chart]:
    charts = []
    for name, title in _CURVES:
        known = [
            (line["step"], line[name]) for line in run.metrics if math.isfinite(line.get(name, math.nan))
        ]
        if len(known) < 2:
            continue
        steps, values = zip(*known, strict=True)
        parts = np.array_split(np.asarray(values, float), min(_POINTS, len(values)))
        means = [float(part.mean()) for part in parts]
        top = max(1.0, *means) if name == "loss" else 1.0
        words = f"first {means[0]:.3f}, last {means[-1]:.3f}"
        label = f"{title} over {steps[-1]} steps, from 0 to {top:.3g}: {words}"
        ends = (f"step {steps[0]}", f"step {steps[-1]}")
        charts.append(Chart(title, words, label, lines([(name, means)], top), ends))
    return charts


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping) and value:
        for key, item in value.items():
            yield from _leaves(item, f"{path}.{key}" if path else key)
    elif isinstance(value, Sequence) and any(isinstance(item, Mapping | list) for item in value):
        for index, item in enumerate(value):
            yield from _leaves(item, f"{path}[{index}]")
    else:
        yield path, json.dumps(value)
