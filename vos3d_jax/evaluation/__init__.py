"""How good masks are: metrics, the benchmarks that say what is scored, scores and their reports.

Names are loaded on first use: a process that scores needs neither readers of data sets nor reports.
"""

import importlib
from typing import Any

_HOMES = {
    "Row": "scores",
    "Scores": "scores",
    "everything_foreground": "scoring",
    "score": "scoring",
    "score_predictions": "scoring",
}

__all__ = ["Row", "Scores", "benchmarks", "everything_foreground", "metrics", "score", "score_predictions"]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    if name in ("benchmarks", "metrics"):
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
