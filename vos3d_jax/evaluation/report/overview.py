"""The report's sections on the result as a whole: figures, comparison, published results, provenance."""

import math
import re

from vos3d_jax.evaluation import published
from vos3d_jax.evaluation.metrics import Interval
from vos3d_jax.evaluation.report.cells import figure_head, head, number, row_head, table, weight
from vos3d_jax.evaluation.report.charts import strip
from vos3d_jax.evaluation.report.figures import AVERAGES, HEADLINES, best, between, facts, shown
from vos3d_jax.evaluation.report.made import Made
from vos3d_jax.evaluation.report.markup import Html, element, join
from vos3d_jax.evaluation.report.units import counted_over, few, fewer
from vos3d_jax.evaluation.scores import DEFECTS, Scores

_FINGERPRINT = re.compile(r"(?:sha256:)?[0-9a-f]{32,}")
_SHORT = 12
# Keys of `Scores.provenance` in words; those in "versions" and "options" are names of their own.
_LABELS = {
    "data": "fingerprint of the true masks",
    "results": "fingerprint of the results",
    "model_card": "fingerprint of the network's card",
    "maps": "soft maps",
    "masks": "values of the masks",
}
_PREFIXES = {"versions": "version of ", "options": "option of the data: "}


def figures(scores: Scores, intervals: dict[str, Interval | None]) -> Html:
    """Cards of the headline figures, and the table of all figures with what they mean."""
    cards = []
    for name in HEADLINES:
        if name not in scores.figures:
            continue
        value, found = scores.figures[name], intervals[name]
        largest = 1.0
        if facts(name).percent:
            bounds = [value] if found is None else [value, found.high]
            largest = max((bound for bound in bounds if bound > 0), default=1.0)
        cards.append(
            element(
                "li",
                element("div", name, class_="name"),
                element("div", shown(name, value), class_="value", data_figure=name, data_value=repr(value)),
                element("div", _below(name, found), class_="range"),
                None if math.isnan(value) else strip(value, found, largest),
                class_="card",
            )
        )
    rows = [
        element(
            "tr",
            row_head(name, element("div", facts(name).meaning, _direction(name), class_="small soft")),
            number(name, value),
            element("td", between(name, intervals[name]), _over(scores, name), class_="num"),
        )
        for name, value in scores.figures.items()
    ]
    return join(
        [
            element("ul", *cards, class_="cards"),
            element(
                "p",
                f"Bands and ranges: 95 % bootstrap intervals over {counted_over(scores)}. They answer how "
                "far the mean would move with other sequences of the same kind, not with another training.",
                class_="soft small",
            ),
            element("p", f"Note: {few(scores)}.", class_="note") if few(scores) else "",
            table(
                f"All figures: means over {AVERAGES[scores.average]}",
                [head("Figure", class_=None), head("Value"), head("95 % interval")],
                rows,
                label="All figures",
            ),
        ]
    )


def context(scores: Scores) -> Html | None:
    """Published results: those of the same protocol with ours among them, the others apart."""
    same, others = published.comparable(scores.benchmark), published.context(scores.benchmark)
    parts: list[Html | None] = []
    if same and not scores.complete:
        parts.append(
            element(
                "p",
                "This result is of a part of the benchmark (or at another size), so none of these figures "
                "compare with it.",
                class_="note",
            )
        )
    if same:
        parts.append(element("h3", "Same protocol" if scores.complete else "Same protocol, whole benchmark"))
        parts += [_published(scores, entry, ours=scores.complete) for entry in same]
    if others:
        parts.append(element("h3", "Another protocol, or one that is not stated: not comparable"))
        parts += [_published(scores, entry, ours=False) for entry in others]
    return join(parts) if parts else None


def provenance(scores: Scores, made: Made | None) -> Html:
    """Where the figures come from: command and date, rule, versions, fingerprints, options."""
    pairs: list[Html] = []
    for label, value in [
        *([] if made is None else [("command", made.command), ("made", made.date)]),
        ("benchmark", scores.benchmark),
        ("protocol", f"{scores.protocol}: {scores.rule}"),
        ("means over", AVERAGES[scores.average]),
        ("method", scores.method),
        *(("repeated defect of the official tool", DEFECTS[name]) for name in scores.defects),
        *_flat({**scores.provenance, "masks": scores.encodings}),
    ]:
        pairs += [element("dt", label), element("dd", _shortened(value))]
    return element("dl", *pairs)


def _published(scores: Scores, entry: published.Table, *, ours: bool) -> Html:
    listed = [
        (method.values[0], _method(entry.figures, method.name, method.hint, method.values))
        for method in best(entry)
    ]
    if ours and any(figure in scores.figures for figure in entry.figures):
        values = [scores.figures.get(figure) for figure in entry.figures]
        row = _method(entry.figures, scores.method or "this result", "", values, ours=True)
        sign = -1 if facts(entry.figures[0]).lower else 1
        first = -math.inf if values[0] is None else sign * values[0]
        place = sum(value is not None and sign * value > first for value, _ in listed)
        listed.insert(place, (values[0], row))
    return table(
        join(
            [
                element("strong", entry.title),
                f". Source: {entry.source}. Protocol: {entry.protocol}.",
                f" {entry.note}" if entry.note else None,
            ]
        ),
        [
            head("Method", class_=None, sort="ascending"),
            head("Given", class_="minor"),
            *map(figure_head, entry.figures),
        ],
        [row for _, row in listed],
        label=f"Published: {entry.title}",
        sortable=len(listed) > 3,
    )


def _method(figure_names, name, hint, values, *, ours: bool = False) -> Html:
    return element(
        "tr",
        row_head(name, element("span", hint, class_="phone small soft") if hint else None),
        element("td", hint, class_="minor small"),
        *(
            number(figure, value, class_=weight(figure))
            for figure, value in zip(figure_names, values, strict=True)
        ),
        class_="ours" if ours else None,
    )


def _over(scores: Scores, name: str) -> Html | None:
    """How many units an interval is over, where they are not all."""
    count = fewer(scores, name)
    return None if count is None else element("div", f"over {count} of them", class_="small soft")


def _below(name: str, found: Interval | None) -> str:
    return " · ".join(filter(None, [between(name, found), "lower is better" if facts(name).lower else ""]))


def _direction(name: str) -> str | None:
    return "; lower is better" if facts(name).lower else None


def _flat(values: dict, prefix: str = "") -> list[tuple[str, str]]:
    pairs = []
    for key, value in values.items():
        label = f"{prefix}{key}" if prefix else _LABELS.get(key, key.replace("_", " "))
        if isinstance(value, dict):
            pairs += _flat(value, _PREFIXES.get(key, f"{key} "))
        else:
            pairs.append((label, "–" if value is None else str(value)))
    return pairs


def _shortened(value: str) -> Html:
    if _FINGERPRINT.fullmatch(value):
        digits = value.removeprefix("sha256:")
        return element("code", digits[:_SHORT] + "…", title=value)
    return join(value)
