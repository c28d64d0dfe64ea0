"""report.html: one file that needs nothing else, no network and no program but a browser.

The page forbids itself every request (its content security policy), so that it can be mailed and opened
anywhere; pictures are inside as data, charts are inline SVG, the one small script only sorts tables.
"""

import base64
import hashlib
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

from vos3d_jax.data.video import Video
from vos3d_jax.errors import UserError
from vos3d_jax.evaluation.report import details, methods, overview, training
from vos3d_jax.evaluation.report.comparison import compare_all
from vos3d_jax.evaluation.report.figures import UNITS
from vos3d_jax.evaluation.report.made import Made, Other
from vos3d_jax.evaluation.report.markup import Html, element
from vos3d_jax.evaluation.report.training import Training
from vos3d_jax.evaluation.report.units import interval
from vos3d_jax.evaluation.scores import Scores, require_comparable


def page(
    scores: Scores,
    *,
    videos: Sequence[Video] = (),
    masks_dir: str | Path | None = None,
    others: Sequence[Other] = (),
    made: Made | None = None,
    run: Training | None = None,
) -> str:
    """The text of report.html.

    Args:
        scores: what is reported.
        videos: the scored videos; with `masks_dir` their worst frames are shown.
        masks_dir: the scored masks.
        others: results to compare with; where one is not comparable, the page says why in one line.
        made: how and when the result was made.
        run: what the scored network is from.

    Raises:
        UserError: a mask of a picture cannot be read.
    """
    intervals = {name: interval(scores, name) for name in scores.figures}
    sections: list[tuple[str, str, Html | None]] = [
        ("figures", "Figures", overview.figures(scores, intervals)),
    ]
    comparable, refused = [], []
    for other in others:
        try:
            require_comparable(scores, other.scores)
            comparable.append(other)
        except UserError as error:
            refused.append((other.name, str(error)))
    if others:
        compared = compare_all(scores, [other.scores for other in comparable])
        content = methods.comparison(scores, comparable, compared, refused)
        sections.append(("comparison", "Comparison", content))
    pictures = None if masks_dir is None else details.worst_frames(scores, videos, masks_dir, comparable)
    sections += [
        ("sequences", f"{UNITS[scores.average].capitalize()}s", details.sequences(scores, comparable)),
        ("time", "Over time", details.over_time(scores, comparable)),
        ("frames", "Worst frames", pictures),
        ("attributes", "By attribute", details.attributes(scores)),
        ("published", "Published results of other methods", overview.context(scores)),
        ("training", "Training", None if run is None else training.section(run)),
        ("provenance", "Where these figures come from", overview.provenance(scores, made)),
    ]
    shown = [(name, title, content) for name, title, content in sections if content is not None]
    title = f"{scores.method}: {scores.title}" if scores.method else scores.title
    links = (element("a", text, href=f"#{name}") for name, text, _ in shown)
    body = element(
        "main",
        element("h1", title),
        element("p", f"{scores.subject}. Scored: {scores.rule}.", class_="soft"),
        None if scores.complete else element("p", _INCOMPLETE, class_="note"),
        *(element("p", note, class_="note") for note in scores.notes),
        element("nav", *links, aria_label="Sections"),
        *(
            element("section", element("h2", text), content, id=name, aria_label=text)
            for name, text, content in shown
        ),
        class_="page",
    )
    return _document(title, body)


_INCOMPLETE = (
    "Not the whole benchmark: these figures are of the sequences and sizes named here, and are no benchmark "
    "result."
)


def _document(title: str, body: Html) -> str:
    style, script = (
        (resources.files(__package__) / name).read_text("utf-8") for name in ("style.css", "sort.js")
    )
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; "
        "base-uri 'none'; form-action 'none'"
    )
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=policy),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("title", title),
        element("style", Html(style)),
    )
    end = element("script", Html(script))
    return "<!doctype html>\n" + element("html", head, element("body", body, end), lang="en") + "\n"
