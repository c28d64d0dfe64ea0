"""What is left of an evaluation: scores.json, csv, report.html, pictures, and tables in the terminal."""

from collections.abc import Sequence
from pathlib import Path

from vos3d_jax import files
from vos3d_jax.data.video import Video
from vos3d_jax.errors import UserError
from vos3d_jax.evaluation.report.comparison import compare, compare_all
from vos3d_jax.evaluation.report.latex import latex
from vos3d_jax.evaluation.report.made import MADE, Made, Other, find_other
from vos3d_jax.evaluation.report.page import page
from vos3d_jax.evaluation.report.pictures import write_pictures
from vos3d_jax.evaluation.report.sheets import write_csv
from vos3d_jax.evaluation.report.terminal import compare_table, show, table, tests_table
from vos3d_jax.evaluation.report.training import Training, find_training
from vos3d_jax.evaluation.scores import Scores, is_comparable

__all__ = [
    "MADE",
    "Made",
    "Other",
    "Training",
    "compare",
    "compare_all",
    "compare_table",
    "find_training",
    "latex",
    "page",
    "read",
    "read_other",
    "show",
    "table",
    "tests_table",
    "write",
    "write_csv",
    "write_pictures",
]


def write(
    scores: Scores,
    output: str | Path,
    *,
    videos: Sequence[Video] = (),
    masks_dir: str | Path | None = None,
    compare: Sequence[Other] = (),
    made: Made | None = None,
    run: Training | None = None,
    html: bool = True,
    percent: bool = False,
) -> None:
    """Writes a result into the folder `output`: everything a reader may want of it.

    - `scores.json`: the result itself, which `read` gives back.
    - `figures.csv`, `rows.csv`, and in the official tool's columns `global_results-<set>.csv` and
      `per-sequence_results-<set>.csv` (see `write_csv`).
    - `report.html`: one page that needs no network.
    - `table.tex`: the headline figures as rows of LaTeX, with those of the results that are compared.
    - `made.json`, given `made`: the date, the command, where the masks are, and the settings.
    - given videos and masks, `pictures/<sequence>.jpg`: the typical and the worst frame of each.

    Args:
        scores: the result.
        output: the folder; it is made.
        videos: the scored videos, for pictures.
        masks_dir: the scored masks, `<run>/<frame>.png`, for pictures.
        compare: other results that the page compares with; where one is not comparable it says why.
        made: when and how the result was made.
        run: the training of the scored network, whose curves and settings the page shows.
        html: False: neither page nor pictures, which cost more than the scores of a small data set; a page
            that is there already tells of other scores, and is removed.
        percent: page, pictures and LaTeX rows have fractions in percent; files keep fractions.

    Raises:
        UserError: `output` cannot be written to, or a mask of a picture cannot be read.
    """
    output = Path(output)
    if made is not None:  # before the scores, so that a kill in between leaves none that nobody may replace
        made.write(output)
    files.write(output / "scores.json", scores.to_json().encode())
    write_csv(scores, output)
    beside = [other.scores for other in compare if is_comparable(scores, other.scores)]
    files.write(output / "table.tex", latex([scores, *beside], percent).encode())
    if not html:
        (output / "report.html").unlink(missing_ok=True)
        return
    text = page(
        scores, videos=videos, masks_dir=masks_dir, others=compare, made=made, run=run, percent=percent
    )
    files.write(output / "report.html", text.encode())
    if masks_dir is not None:
        write_pictures(scores, videos, masks_dir, output / "pictures", percent)


def read(path: str | Path) -> Scores:
    """Returns the scores of a scores.json, or of the folder that holds it.

    Raises:
        UserError: it is missing or no such file.
    """
    path = Path(path) / "scores.json" if Path(path).is_dir() else Path(path)
    try:
        return Scores.from_json(path.read_text("utf-8"), str(path))
    except OSError:
        raise UserError(f"{path} is missing: expected the scores.json of an evaluation") from None
    except UnicodeDecodeError:
        raise UserError(f"{path} is no scores.json of this program: score again") from None


def read_other(path: str | Path) -> Other:
    """Returns the result to compare with that `read` reads, with its masks where they are still those scored.

    Errors as `read`.
    """
    path = Path(path)
    return find_other(read(path), path / "scores.json" if path.is_dir() else path)
