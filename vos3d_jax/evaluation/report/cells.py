"""Cells and tables of the page: numbers carry their full value for sorting (and for tests)."""

from collections.abc import Sequence

from vos3d_jax.evaluation.report.figures import facts, shown
from vos3d_jax.evaluation.report.markup import Child, Html, element, join


def number(
    figure: str,
    value: float | None,
    below: Html | None = None,
    *,
    signed: bool = False,
    verdict: str | None = None,
    class_: str = "",
) -> Html:
    """A table cell with a value as it is shown everywhere; its full precision is in `data-value`.

    `verdict`, "better" or "worse", gives it a colour.
    """
    full = "" if value is None else repr(float(value))
    text = shown(figure, value, signed=signed)
    text = element("span", text, class_=verdict) if verdict else text
    return element("td", text, below, class_=f"num {class_}".strip(), data_value=full)


def head(text: str, *, sort: str | None = None, class_: str | None = "num") -> Html:
    """A column's head; `sort` is the order of the first press ("ascending", "descending")."""
    return element("th", text, scope="col", class_=class_, data_sort=sort)


def figure_head(figure: str) -> Html:
    """The head of a figure's column: the first press sorts the best to the top."""
    order = "ascending" if facts(figure).lower else "descending"
    return head(figure, sort=order, class_=f"num {weight(figure)}".strip())


def weight(figure: str) -> str:
    """The class of a figure's column: on a phone recall and decay give way."""
    return "minor" if figure.endswith(("recall", "decay")) else ""


def row_head(*children: Child) -> Html:
    """The cell that names a row."""
    return element("th", *children, scope="row")


def table(
    caption: Child,
    heads: Sequence[Html],
    rows: Sequence[Html],
    *,
    label: str,
    sortable: bool = False,
) -> Html:
    """A table under its caption, which scrolls inside itself where it is too wide; `label` is its name."""
    # The caption is no <caption>: that would be as wide as the table and cut off where it scrolls.
    body = element(
        "div",
        element(
            "table",
            element("thead", element("tr", *heads)),
            element("tbody", *(Html(f"{row}\n") for row in rows)),
            class_="sortable" if sortable else None,
            aria_label=label,
        ),
        class_="scroll",
        role="region",
        aria_label=label,
        tabindex=0,
    )
    return join([element("p", caption, class_="caption"), body])
