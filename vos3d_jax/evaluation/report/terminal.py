"""Tables for the terminal: the units of a result, its figures beside published ones, several results."""

from collections.abc import Sequence

from rich import box
from rich.console import Console, Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from vos3d_jax.errors import UserError
from vos3d_jax.evaluation import published
from vos3d_jax.evaluation.report.comparison import Difference, explained, format_p
from vos3d_jax.evaluation.report.figures import (
    AVERAGES,
    UNITS,
    best,
    facts,
    format_interval,
    format_value,
)
from vos3d_jax.evaluation.report.units import (
    counted_over,
    few,
    fewer,
    interval,
    row_columns,
    worst_first,
)
from vos3d_jax.evaluation.scores import Scores, require_comparable

_MOST_ROWS = 40  # J-HMDB has hundreds: the terminal shows the lowest, scores.json and the report all
_SHORT = 3  # published methods of a source that are shown here: the best
_PARTS = ("recall", "decay")
_ABREAST, _NUMBER = 6, 8  # so many methods beside the first, each so wide, fit into 80 columns
_COLOURS = {"better": "green", "worse": "red", None: ""}


def table(scores: Scores, percent: bool = False) -> Group:
    """Returns the scores of each sequence, object or transfer, the headline figures, and published ones.

    With `percent`, fractions are in percent.
    """
    parts: list[RenderableType] = [Text(heading(scores)), _rows(scores, percent), _figures(scores, percent)]
    parts += [Text(f"note: {note}") for note in (*scores.notes, few(scores)) if note]
    parts += [Text(scores.encodings)] if scores.encodings else []
    parts += _published(scores, percent)
    return Group(*parts)


def compare_table(results: Sequence[tuple[str, Scores]], percent: bool = False) -> Group:
    """Returns the headline figures of several methods, one a column, under their labels.

    With `percent`, fractions are in percent.

    Raises:
        UserError: there are none, or they differ in protocol or in what they scored.
    """
    if not results:
        raise UserError("there are no results to compare: name at least one scores.json")
    first = results[0][1]
    for _, scores in results[1:]:
        require_comparable(first, scores)
    names = dict.fromkeys(name for _, scores in results for name in scores.figures)
    sheets: list[RenderableType] = [Text(heading(first))]
    for start in range(1, max(len(results), 2), _ABREAST):
        abreast = (results[0], *results[start : start + _ABREAST])
        sheet = _sheet("figure")
        for label, _ in abreast:
            sheet.add_column(escape(label), justify="right", overflow="fold", min_width=_NUMBER)
        for name in names:
            sheet.add_row(
                name, *(format_value(name, scores.figures.get(name), percent) for _, scores in abreast)
            )
        sheets.append(sheet)
    return Group(*sheets)


def tests_table(
    scores: Scores,
    others: Sequence[Scores],
    compared: Sequence[Sequence[Difference]],
    percent: bool = False,
) -> Group:
    """Returns the difference of a result and each other with a test of each figure, and the first in words.

    Args:
        scores: the result.
        others: those that it is compared with.
        compared: `compare_all` of them.
        percent: fractions are in percent.
    """
    sheet = _sheet(escape(f"{scores.method or 'this'} less"))
    for name in ("difference", "95 % interval", "p", "p (Holm)"):
        sheet.add_column(name, justify="right", no_wrap=True)
    for other, differences in zip(others, compared, strict=True):
        sheet.add_row(Text(other.method or "the other result", style="bold"))
        for item in differences:
            sheet.add_row(
                f"  {item.figure}",
                Text(
                    format_value(item.figure, item.value, percent, signed=True), style=_COLOURS[item.verdict]
                ),
                format_interval(item.figure, item.test and item.test.difference, percent, signed=True),
                format_p(item.test and item.test.p_value),
                format_p(item.corrected),
            )
        sheet.add_section()
    words = [next((item.words for item in differences if item.words), "") for differences in compared]
    lower = dict.fromkeys(item.figure for row in compared for item in row if facts(item.figure).lower)
    notes = [
        *words,
        f"Lower is better: {', '.join(lower)}." if lower else "",
        explained(compared),
        f"note: {few(scores)}" if few(scores) else "",
    ]
    return Group(sheet, *(Text(note) for note in notes if note))


def heading(scores: Scores) -> str:
    """Returns what was scored and how, in words, and whether it is the whole benchmark."""
    return (
        f"{scores.subject}\nprotocol {scores.protocol}: {scores.rule}\nmeans over {AVERAGES[scores.average]}"
    )


def show(sheet: RenderableType, console: Console | None = None) -> None:
    """Prints a table."""
    (console or Console()).print(sheet)


def _rows(scores: Scores, percent: bool) -> Table:
    columns = row_columns(scores)
    sheet = _sheet(UNITS[scores.average])
    for metric, name, _ in columns:
        sheet.add_column(f"{metric}\n{name}", justify="right", no_wrap=True)
    rows = list(scores.rows)
    if len(rows) > _MOST_ROWS:
        rows = worst_first(rows, columns[0][0] if columns else "")  # soft maps alone have no values of rows
        sheet.caption = f"the {_MOST_ROWS} worst of {len(rows)}; all are in scores.json"
    for row in rows[:_MOST_ROWS]:
        cells = (format_value(metric, values.get(row.name), percent) for metric, _, values in columns)
        sheet.add_row(escape(row.name), *cells)
    return sheet


def _figures(scores: Scores, percent: bool) -> Table:
    sheet = _sheet("figure")
    sheet.add_column("value", justify="right", no_wrap=True)
    sheet.add_column(f"95 % interval over\n{counted_over(scores)}", justify="right", no_wrap=True)
    for name, value in scores.figures.items():
        bounds = format_interval(name, interval(scores, name), percent)
        if count := fewer(scores, name):
            bounds = f"(of {count})  {bounds}"
        style = "bold" if name == "J&F" else None
        sheet.add_row(name, format_value(name, value, percent), bounds, style=style)
    return sheet


def _published(scores: Scores, percent: bool) -> list[RenderableType]:
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
    values = (format_value(figure, scores.figures[figure], percent) for figure in figures)
    sheet.add_row(escape(scores.method or "this result"), "", *values, "", style="bold")
    for number, entry in enumerate(entries, 1):
        for method in best(entry, _SHORT):
            known = dict(zip(entry.figures, method.values, strict=True))
            cells = (format_value(figure, known.get(figure), percent) for figure in figures)
            sheet.add_row(method.name, method.hint, *cells, str(number))
    sources = (f"{number}: {entry.source}; {entry.protocol}" for number, entry in enumerate(entries, 1))
    left = sum(max(len(entry.methods) - _SHORT, 0) for entry in entries)
    more = [f"{left} more methods, and those of other protocols, are in report.html"] if left else []
    return [sheet, Text("\n".join([*sources, *more]) + "\n")]


def _sheet(first: str, min_width: int | None = None) -> Table:
    sheet = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), caption_justify="left", caption_style="")
    sheet.add_column(first, overflow="fold", min_width=min_width)
    return sheet
