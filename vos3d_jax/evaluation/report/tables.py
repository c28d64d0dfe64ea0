"""Tables for the terminal: the units of a result, its figures beside published ones, several results."""

from collections.abc import Sequence

from rich import box
from rich.console import Console, Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from vos3d_jax.errors import UserError
from vos3d_jax.evaluation import published
from vos3d_jax.evaluation.report.figures import AVERAGES, best, facts, shown
from vos3d_jax.evaluation.report.units import compare, counted_over, few, fewer, interval, worst_first
from vos3d_jax.evaluation.scores import Scores, require_comparable, statistics_of

_MOST_ROWS = 40  # J-HMDB has hundreds: the terminal shows the lowest, scores.json and the report all
_SHORT = 3  # published methods of a source that are shown here: the best
_PARTS = ("recall", "decay")


def table(scores: Scores) -> Group:
    """The scores of each sequence, object or transfer, the headline figures, and published ones."""
    parts: list[RenderableType] = [Text(heading(scores)), _rows(scores), _figures(scores)]
    parts += [Text(f"note: {note}") for note in (*scores.notes, few(scores)) if note]
    parts += _published(scores)
    return Group(*parts)


def compare_table(results: Sequence[tuple[str, Scores]]) -> Group:
    """The headline figures of several methods, one a column, under their labels.

    Raises:
        UserError: there are none, or they differ in protocol or in what they scored.
    """
    if not results:
        raise UserError("there are no results to compare: name at least one scores.json")
    first = results[0][1]
    for _, scores in results[1:]:
        require_comparable(first, scores)
    sheet = _sheet("figure")
    for label, _ in results:
        sheet.add_column(escape(label), justify="right", overflow="fold")
    names = dict.fromkeys(name for _, scores in results for name in scores.figures)
    for name in names:
        sheet.add_row(name, *(shown(name, scores.figures.get(name)) for _, scores in results))
    return Group(Text(heading(first)), sheet)


def paired_table(scores: Scores, other: Scores) -> Group:
    """The difference of two results with a test of each figure, and the first in words.

    Raises:
        UserError: they differ in protocol or in what they scored.
    """
    sheet = _sheet("figure")
    for name in (scores.method or "this", other.method or "other"):
        sheet.add_column(escape(name), justify="right", overflow="fold")
    for name in ("difference", "95 % interval", "p"):
        sheet.add_column(name, justify="right", no_wrap=True)
    differences = compare(scores, other)
    for difference in differences:
        figure, test = difference.figure, difference.test
        found = None if test is None else test.difference
        sheet.add_row(
            figure,
            shown(figure, difference.first),
            shown(figure, difference.second),
            shown(figure, difference.value, signed=True),
            "" if found is None else _range(figure, found.low, found.high, signed=True),
            "" if test is None else f"{test.p_value:.4f}",
        )
    words = [difference.words for difference in differences if difference.words]
    lower = [difference.figure for difference in differences if facts(difference.figure).lower]
    notes = [
        *words[:1],
        f"Lower is better: {', '.join(lower)}." if lower else "",
        "p: how often signs drawn by chance would give a difference as large (paired sign-flip test).",
        f"note: {few(scores)}" if few(scores) else "",
    ]
    return Group(sheet, *(Text(note) for note in notes if note))


def heading(scores: Scores) -> str:
    """What was scored and how, in words, and whether it is the whole benchmark."""
    return (
        f"{scores.subject}\nprotocol {scores.protocol}: {scores.rule}\nmeans over {AVERAGES[scores.average]}"
    )


def show(sheet: RenderableType, console: Console | None = None) -> None:
    """Prints a table."""
    (console or Console()).print(sheet)


def _rows(scores: Scores) -> Table:
    metrics = list(dict.fromkeys(metric for row in scores.rows for metric in row.series))
    sheet = _sheet({"objects": "object"}.get(scores.average, "sequence"))
    for metric in metrics:
        for name in statistics_of(metric):
            sheet.add_column(f"{metric}\n{name}", justify="right", no_wrap=True)
    rows = list(scores.rows)
    if len(rows) > _MOST_ROWS:
        rows = worst_first(rows, next(iter(metrics), ""))  # soft maps alone have no values of rows
        sheet.caption = f"the {_MOST_ROWS} worst of {len(rows)}; all are in scores.json"
    for row in rows[:_MOST_ROWS]:
        cells = []
        for metric in metrics:
            statistics = row.statistics(metric) if metric in row.series else None
            for name in statistics_of(metric):
                cells.append(shown(metric, statistics and getattr(statistics, name)))
        sheet.add_row(escape(row.name), *cells)
    return sheet


def _figures(scores: Scores) -> Table:
    sheet = _sheet("figure")
    sheet.add_column("value", justify="right", no_wrap=True)
    sheet.add_column(f"95 % interval over\n{counted_over(scores)}", justify="right", no_wrap=True)
    for name, value in scores.figures.items():
        found = interval(scores, name)
        bounds = "" if found is None else _range(name, found.low, found.high)
        if fewer(scores, name):
            bounds = f"(of {fewer(scores, name)})  {bounds}"
        sheet.add_row(name, shown(name, value), bounds, style="bold" if name == "J&F" else None)
    return sheet


def _published(scores: Scores) -> list[RenderableType]:
    """Our row above the best published ones of the same protocol, with their sources below."""
    entries = published.comparable(scores.benchmark)
    if not entries:
        return []
    if not scores.complete:
        return [
            Text("Published results are of the whole benchmark: they do not stand beside a part of it.\n")
        ]
    figures = [
        figure
        for figure in dict.fromkeys(figure for entry in entries for figure in entry.figures)
        if not figure.endswith(_PARTS) and figure in scores.figures
    ]
    sheet = _sheet("published, same protocol", min_width=24)
    sheet.add_column("given")
    for figure in figures:
        sheet.add_column(figure.replace(" ", "\n", 1), justify="right", no_wrap=True)
    sheet.add_column("source", justify="right")
    values = (shown(figure, scores.figures[figure]) for figure in figures)
    sheet.add_row(escape(scores.method or "this result"), "", *values, "", style="bold")
    for number, entry in enumerate(entries, 1):
        for method in best(entry, _SHORT):
            known = dict(zip(entry.figures, method.values, strict=True))
            cells = (shown(figure, known.get(figure)) for figure in figures)
            sheet.add_row(method.name, method.hint, *cells, str(number))
    sources = (f"{number}: {entry.source}; {entry.protocol}" for number, entry in enumerate(entries, 1))
    left = sum(max(len(entry.methods) - _SHORT, 0) for entry in entries)
    more = [f"{left} more methods, and those of other protocols, are in report.html"] if left else []
    return [sheet, Text("\n".join([*sources, *more]) + "\n")]


def _range(figure: str, low: float, high: float, *, signed: bool = False) -> str:
    return f"{shown(figure, low, signed=signed)} to {shown(figure, high, signed=signed)}"


def _sheet(first: str, min_width: int | None = None) -> Table:
    sheet = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), caption_justify="left", caption_style="")
    sheet.add_column(first, overflow="fold", min_width=min_width)
    return sheet
