"""report.html: one file that needs nothing else, no network and no program but a browser.

The page forbids itself every request (its content security policy), so that it can be mailed and opened
anywhere; pictures are inside as data, charts are inline SVG, the one small script only sorts tables.
"""

import base64
import hashlib
from collections.abc import Sequence
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

from vos3d_jax.data.video import Video
from vos3d_jax.errors import UserError
from vos3d_jax.evaluation.report import figures, sections, training, units
from vos3d_jax.evaluation.report.charts import place
from vos3d_jax.evaluation.report.comparison import format_p
from vos3d_jax.evaluation.report.made import Made, Other
from vos3d_jax.evaluation.report.training import Training
from vos3d_jax.evaluation.scores import Scores, require_comparable

if TYPE_CHECKING:
    from jinja2 import Environment

_MOST_DRAWN = 3  # other methods whose curves and masks are drawn
_PANELS = {
    "frame": "The frame",
    "truth": "The true mask over the frame",
    "mask": "The scored mask over the frame",
}


def page(
    scores: Scores,
    *,
    videos: Sequence[Video] = (),
    masks_dir: str | Path | None = None,
    others: Sequence[Other] = (),
    made: Made | None = None,
    run: Training | None = None,
    percent: bool = False,
) -> str:
    """Returns the text of report.html.

    Args:
        scores: what is reported.
        videos: the scored videos; with `masks_dir` their worst frames are shown.
        masks_dir: the scored masks.
        others: results to compare with; where one is not comparable, the page says why in one line.
        made: how and when the result was made.
        run: what the scored network is from.
        percent: fractions are shown in percent.

    Raises:
        UserError: a mask of a picture cannot be read.
    """
    comparable, refused = [], []
    for other in others:
        try:
            require_comparable(scores, other.scores)
            comparable.append(other)
        except UserError as error:
            refused.append((other.name, str(error)))
    drawn, unit = comparable[:_MOST_DRAWN], figures.UNITS[scores.average]
    intervals = {name: units.interval(scores, name) for name in scores.figures}
    frames = masks_dir and sections.worst_frames(scores, videos, masks_dir, drawn, percent)
    # (name of the template, title, what it shows); those that have nothing to show are left out.
    contents = [
        ("figures", "Figures", {"cards": sections.cards(scores, intervals)}),
        ("comparison", "Comparison", others and sections.comparison(scores, comparable, refused, percent)),
        ("sequences", f"{unit.capitalize()}s", sections.sequences(scores, comparable)),
        ("time", "Over time", sections.over_time(scores, drawn, percent)),
        ("frames", "Worst frames", frames),
        ("attributes", "By attribute", sections.attributes(scores)),
        ("published", "Published results of other methods", sections.published_results(scores)),
        ("training", "Training", run and training.section(run)),
        ("provenance", "Where these figures come from", sections.provenance(scores, made)),
    ]
    environment = _environment()
    script, *_ = environment.loader.get_source(environment, "sort.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return environment.get_template("page.html").render(
        title=f"{scores.method}: {scores.title}" if scores.method else scores.title,
        policy=f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; "
        "base-uri 'none'; form-action 'none'",
        script=script,
        scores=scores,
        sections=[entry for entry in contents if entry[2]],
        others=comparable,
        drawn=drawn,
        kinds=_PANELS,
        unit=unit,
        average=figures.AVERAGES[scores.average],
        counted=units.counted_over(scores),
        few=units.few(scores),
        intervals=intervals,
        fewer={name: units.fewer(scores, name) for name in scores.figures},
        format_value=partial(figures.format_value, percent=percent),
        format_interval=partial(figures.format_interval, percent=percent),
    )


@cache
def _environment() -> "Environment":
    """The templates; what is not defined in them is an error, and text that is shown is escaped."""
    from jinja2 import Environment, PackageLoader, StrictUndefined  # not for --no-report

    environment = Environment(
        loader=PackageLoader(__package__),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.globals |= {
        "facts": figures.facts,
        "format_p": format_p,
        "is_fingerprint": sections.is_fingerprint,
        "minor": figures.minor,
        "place": place,
    }
    return environment
