"""The report's section on the run that a network is from: its curves and its settings."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vos3d_jax.evaluation.report.charts import lines
from vos3d_jax.evaluation.report.markup import Html, element, join

_POINTS = 120  # of a curve: each is the mean of its share of the lines
_CURVES = (("loss", "Loss"), ("iou", "IoU on training clips"), ("J", "J on held-out frames"))


@dataclass(frozen=True)
class Training:
    """A run: its settings, and the lines of its `metrics.jsonl`."""

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


def section(run: Training) -> Html:
    """Curves of loss, IoU and held-out scores over the steps, and all settings."""
    curves = [chart for name, title in _CURVES if (chart := _curve(run.metrics, name, title)) is not None]
    settings = [
        element(tag, text)
        for pair in _leaves(run.config)
        for tag, text in zip(("dt", "dd"), pair, strict=True)
    ]
    return join(
        [
            element("div", *curves, class_="multiples"),
            element("details", element("summary", "All settings"), element("dl", *settings)),
        ]
    )


def _curve(metrics: Sequence[Mapping[str, Any]], name: str, title: str) -> Html | None:
    known = [(line["step"], line[name]) for line in metrics if math.isfinite(line.get(name, math.nan))]
    if len(known) < 2:
        return None
    steps, values = zip(*known, strict=True)
    parts = np.array_split(np.asarray(values, float), min(_POINTS, len(values)))
    means = [float(part.mean()) for part in parts]
    top = max(1.0, *means) if name == "loss" else 1.0
    words = f"first {means[0]:.3f}, last {means[-1]:.3f}"
    return element(
        "figure",
        element("figcaption", element("strong", title), element("br"), words),
        lines([(name, means)], f"{title} over {steps[-1]} steps, from 0 to {top:.3g}: {words}", top),
        element("div", *(element("span", f"step {step}") for step in (steps[0], steps[-1])), class_="ends"),
    )


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping) and value:
        for key, item in value.items():
            yield from _leaves(item, f"{path}.{key}" if path else key)
    elif isinstance(value, Sequence) and any(isinstance(item, Mapping | list) for item in value):
        for index, item in enumerate(value):
            yield from _leaves(item, f"{path}[{index}]")
    else:
        yield path, json.dumps(value)
