"""The rows of a LaTeX table: a result and those beside it, the best of each figure in bold."""

import math
from collections.abc import Sequence

from vos3d_jax.evaluation.report.figures import facts, format_value
from vos3d_jax.evaluation.scores import Scores

_SPECIAL = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        **{letter: rf"\{letter}" for letter in "&%$#_{}"},
    }
)


def latex(results: Sequence[Scores], percent: bool = False) -> str:
    """Returns the text of a `tabular` with one row a result; all must be comparable.

    What each figure's better end is stands as an arrow; protocol and subject stand in a comment. Fractions
    are in percent with `percent`.
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

    def written(name: str, value: float) -> str:
        text = format_value(name, value, percent)
        return text.replace("−", "$-$").replace(" %", r"\,\%").replace("–", "--")

    best = {}  # as it is written: what is written alike is equally bold
    for name in names if len(results) > 1 else ():
        known = [x for scores in results if not math.isnan(x := scores.figures.get(name, math.nan))]
        if known:
            best[name] = written(name, min(known) if facts(name).lower else max(known))
    for scores in results:
        texts = {name: written(name, scores.figures.get(name, math.nan)) for name in names}
        cells = [rf"\textbf{{{text}}}" if text == best.get(name) else text for name, text in texts.items()]
        lines.append(rf"{_escaped(scores.method or 'this result')} & {' & '.join(cells)} \\")
    return "\n".join([*lines, r"\end{tabular}", ""])


def _escaped(text: str) -> str:
    return " ".join(text.split()).translate(_SPECIAL)
