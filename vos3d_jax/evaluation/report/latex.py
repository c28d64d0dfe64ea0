"""The rows of a LaTeX table: a result and those beside it, the best of each figure in bold."""

import math
import re
from collections.abc import Sequence

from vos3d_jax.evaluation.report.figures import facts, shown
from vos3d_jax.evaluation.scores import Scores

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    **{letter: rf"\{letter}" for letter in "&%$#_{}"},
}


def latex(results: Sequence[Scores]) -> str:
    """The text of a `tabular` with one row a result; all must be comparable.

    What each figure's better end is stands as an arrow; protocol and subject stand in a comment.
    """
    names = list(dict.fromkeys(name for scores in results for name in scores.figures))
    first = results[0]
    arrows = [r"$\downarrow$" if facts(name).lower else r"$\uparrow$" for name in names]
    heads = (f"{_escaped(name)} {arrow}" for name, arrow in zip(names, arrows, strict=True))
    lines = [
        *(f"% {line}" for line in f"{first.subject}\nprotocol {first.protocol}: {first.rule}".splitlines()),
        rf"\begin{{tabular}}{{l{'r' * len(names)}}}",
        rf"Method & {' & '.join(heads)} \\",
        r"\hline",
    ]
    best = {name: _best(name, results) for name in names}
    for scores in results:
        cells = []
        for name in names:
            text = _number(shown(name, scores.figures.get(name)))
            cells.append(rf"\textbf{{{text}}}" if len(results) > 1 and text == best[name] else text)
        lines.append(rf"{_escaped(scores.method or 'this result')} & {' & '.join(cells)} \\")
    return "\n".join([*lines, r"\end{tabular}", ""])


def _best(name: str, results: Sequence[Scores]) -> str | None:
    """The best value as it is written: what is written alike is equally bold."""
    known = [value for scores in results if not math.isnan(value := scores.figures.get(name, math.nan))]
    if not known:
        return None
    return _number(shown(name, min(known) if facts(name).lower else max(known)))


def _number(text: str) -> str:
    return text.replace("−", "$-$").replace(" %", r"\,\%").replace("–", "--")


def _escaped(text: str) -> str:
    return re.sub(r"[\\~^&%$#_{}]", lambda found: _SPECIAL[found[0]], " ".join(text.split()))
