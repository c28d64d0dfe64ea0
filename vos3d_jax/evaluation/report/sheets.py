"""csv files of a result: in the official 2017 tool's columns, and all figures for a spreadsheet.

Columns and rounding of the official tool (davis2017-evaluation, `evaluation_method.py`): three decimals, an
empty cell for NaN. Unlike there, nothing reads them back instead of scoring.
"""

import csv
import io
import math
from pathlib import Path

from vos3d_jax import files
from vos3d_jax.evaluation import benchmarks
from vos3d_jax.evaluation.report.units import interval, row_columns
from vos3d_jax.evaluation.scores import Scores

_GLOBAL = {
    "J&F-Mean": "J&F",
    "J-Mean": "J mean",
    "J-Recall": "J recall",
    "J-Decay": "J decay",
    "F-Mean": "F mean",
    "F-Recall": "F recall",
    "F-Decay": "F decay",
}
_PER_SEQUENCE = ("Sequence", "J-Mean", "F-Mean")


def write_csv(scores: Scores, folder: str | Path) -> list[Path]:
    """Returns the paths of the csv files of a result that it writes into `folder`.

    - `figures.csv`: every headline figure in full precision, with its interval.
    - `rows.csv`: every sequence, object or transfer: J&F, and mean, recall and decay over its frames.
    - `global_results-<set>.csv` and `per-sequence_results-<set>.csv`, where J and F were scored: in the
      official 2017 tool's form, which numbers objects from 1 in the first column ("bear_1").

    Raises:
        UserError: the folder cannot be written to.
    """
    tables = {"figures.csv": _figures(scores), "rows.csv": _rows(scores)}
    if {"J", "F"} <= set(scores.metrics):
        options = scores.provenance.get("options") or {}
        split = options.get("split") or benchmarks.find(scores.benchmark).split
        tables[f"global_results-{split}.csv"] = _official_global(scores)
        tables[f"per-sequence_results-{split}.csv"] = _official_per_sequence(scores)
    paths = []
    for name, rows in tables.items():
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(rows)
        paths.append(Path(folder) / name)
        files.write(paths[-1], text.getvalue().encode())
    return paths


def _official_global(scores: Scores) -> list[list[str]]:
    return [list(_GLOBAL), [_rounded(scores.figures[figure]) for figure in _GLOBAL.values()]]


def _official_per_sequence(scores: Scores) -> list[list[str]]:
    rows = [list(_PER_SEQUENCE)]
    for row in scores.rows:
        name = f"{row.name}_1" if row.name == row.sequence else row.name
        rows.append([name, *(_rounded(row.statistics(metric).mean) for metric in ("J", "F"))])
    return rows


def _figures(scores: Scores) -> list[list[str]]:
    rows = [["figure", "value", "low 95 %", "high 95 %"]]
    for name, value in scores.figures.items():
        over = interval(scores, name)
        rows.append([name, _full(value), *map(_full, (over.low, over.high) if over else (None, None))])
    return rows


def _rows(scores: Scores) -> list[list[str]]:
    columns = {f"{metric} {name}": values for metric, name, values in row_columns(scores)}
    if {"J mean", "F mean"} <= columns.keys():
        both = {name: (value + columns["F mean"][name]) / 2 for name, value in columns["J mean"].items()}
        columns = {"J&F": both, **columns}
    rows = [["name", "sequence", "group", "frames", *columns]]
    for row in scores.rows:
        cells = (_full(values.get(row.name)) for values in columns.values())
        rows.append([row.name, row.sequence, row.group, str(len(row.frames)), *cells])
    return rows


def _rounded(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.3f}"


def _full(value: float | None) -> str:
    return "" if value is None or math.isnan(value) else repr(value)
