"""The report's section on other methods: one table of all, and the tests against each."""

from collections.abc import Sequence

from vos3d_jax.evaluation.report.cells import figure_head, head, number, row_head, table, weight
from vos3d_jax.evaluation.report.comparison import Difference, explained, shown_p
from vos3d_jax.evaluation.report.figures import between, shown
from vos3d_jax.evaluation.report.made import Other
from vos3d_jax.evaluation.report.markup import Html, element, join
from vos3d_jax.evaluation.report.units import counted_over, few
from vos3d_jax.evaluation.scores import Scores


def comparison(
    scores: Scores,
    others: Sequence[Other],
    compared: Sequence[Sequence[Difference]],
    refused: Sequence[tuple[str, str]] = (),
) -> Html:
    """All methods in one table, then each difference with its interval and test.

    Args:
        scores: this result.
        others: those that it can be compared with.
        compared: `compare_all` of them.
        refused: (method, reason) of those that it cannot be compared with.
    """
    reasons = [element("p", f"Not compared with {name}: {reason}", class_="note") for name, reason in refused]
    if not others:
        return join(reasons)
    tests = [
        element(
            "details",
            element("summary", f"Against {other.name}: differences, intervals and tests"),
            element("p", next((item.words for item in differences if item.words), "")),
            _tests(scores, other, differences),
            open=len(others) == 1,
        )
        for other, differences in zip(others, compared, strict=True)
    ]
    return join(
        [
            *reasons,
            _methods(scores, others, compared),
            *tests,
            element("p", f"{explained(compared)} Figures without p are no means.", class_="soft small"),
            element("p", f"Note: {few(scores)}.", class_="note") if few(scores) else "",
        ]
    )


def _methods(scores: Scores, others: Sequence[Other], compared: Sequence[Sequence[Difference]]) -> Html:
    every = [scores, *(other.scores for other in others)]
    names = list(dict.fromkeys(name for one in every for name in one.figures))
    rows = [
        element(
            "tr",
            row_head(scores.method or "this result"),
            *(number(name, scores.figures.get(name), class_=weight(name)) for name in names),
            class_="ours",
        )
    ]
    for other, differences in zip(others, compared, strict=True):
        by_figure = {item.figure: item for item in differences}
        cells = []
        for name in names:
            item = by_figure.get(name)
            less = None
            if item is not None:
                signed = shown(name, item.value, signed=True)
                less = element("div", signed, class_=f"small {item.verdict or 'soft'}")
            cells.append(number(name, other.scores.figures.get(name), less, class_=weight(name)))
        rows.append(element("tr", row_head(other.name), *cells))
    first = scores.method or "this result"
    return table(
        f"All on the same {counted_over(scores)}. Below each value: {first} less that method.",
        [
            head("Method", sort="ascending", class_=None),
            *map(figure_head, names),
        ],
        rows,
        label="Methods",
        sortable=True,
    )


def _tests(scores: Scores, other: Other, differences: Sequence[Difference]) -> Html:
    rows = []
    for item in differences:
        found = item.test and item.test.difference
        p_values = (item.test and item.test.p_value, item.corrected)
        rows.append(
            element(
                "tr",
                row_head(item.figure),
                number(item.figure, item.first, class_="minor"),
                number(item.figure, item.second, class_="minor"),
                number(
                    item.figure,
                    item.value,
                    element(
                        "div",
                        between(item.figure, found, signed=True),
                        class_="small soft",
                    ),
                    signed=True,
                    verdict=item.verdict,
                ),
                *(
                    element("td", shown_p(p), class_="num", data_value="" if p is None else repr(p))
                    for p in p_values
                ),
            )
        )
    return table(
        f"{scores.method or 'This result'} less {other.name}",
        [
            head("Figure", class_=None),
            head(scores.method or "this", class_="num minor"),
            head(other.name, class_="num minor"),
            head("Difference, 95 % interval"),
            head("p"),
            head("p (Holm)"),
        ],
        rows,
        label=f"Against {other.name}",
    )
