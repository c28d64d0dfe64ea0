"""What is left of an evaluation: a table in the terminal, scores.json, mask files, pictures to look at."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

from vos3d_jax.data.video import Video
from vos3d_jax.errors import UserError
from vos3d_jax.evaluation.metrics import Statistics
from vos3d_jax.evaluation.scores import Row, Scores, require_comparable
from vos3d_jax.evaluation.scoring import Masks
from vos3d_jax.media.images import read_mask, write_file, write_palette_png, write_png
from vos3d_jax.media.overlay import side_by_side

_FIGURES = ("J&F", "J\nmean", "J\nrecall", "J\ndecay", "F\nmean", "F\nrecall", "F\ndecay")


def write(
    scores: Scores,
    output: str | Path,
    *,
    videos: Sequence[Video] = (),
    masks_dir: str | Path | None = None,
) -> None:
    """Writes `<output>/scores.json` and, given the videos and the masks' folder, `<output>/pictures`.

    Raises:
        UserError: `output` cannot be written to, or a mask of a picture cannot be read.
    """
    write_file(Path(output) / "scores.json", scores.to_json().encode())
    if masks_dir is not None:
        write_pictures(scores, videos, masks_dir, Path(output) / "pictures")


def read(path: str | Path) -> Scores:
    """The scores of a scores.json, or of the folder that holds it.

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


def saving(masks: Callable[[Video], Masks], folder: str | Path) -> Callable[[Video], Masks]:
    """The same method, which also writes each mask to `<folder>/<sequence>/<frame>.png` as it passes.

    The files are palette PNGs with exact ids, as DAVIS results are; `scoring.score` reads them again.
    """

    def save(video: Video) -> Masks:
        passing = masks(video)
        for name, mask in zip(video.frame_names, passing, strict=False):
            if mask is not None:
                write_palette_png(Path(folder) / video.name / f"{name}.png", mask)
            yield mask
        yield from passing  # there should be none: the scoring names the mistake

    return save


def write_pictures(
    scores: Scores, videos: Sequence[Video], masks_dir: str | Path, folder: str | Path
) -> list[Path]:
    """Writes one picture a sequence, `<folder>/<sequence>.png`, and returns their paths.

    Each shows two scored frames, with truth and mask side by side: the one of median J and the worst.
    """
    by_name = {video.name: video for video in videos}
    written = []
    for sequence in scores.rows:
        if sequence.name not in by_name:
            continue
        order = np.argsort(sequence.series["J"], kind="stable")
        chosen = {"typical": order[len(order) // 2], "worst": order[0]}
        rows = [
            _row(kind, int(place), sequence, by_name[sequence.name], Path(masks_dir))
            for kind, place in chosen.items()
        ]
        written.append(Path(folder) / f"{sequence.name}.png")
        write_png(written[-1], np.concatenate(rows))
    return written


def table(scores: Scores) -> Table:
    """The scores of each sequence and their means, for the terminal."""
    sheet = _empty_table(scores, "sequence")
    for sequence in scores.rows:
        mean = (sequence.statistics("J").mean + sequence.statistics("F").mean) / 2
        sheet.add_row(sequence.name, *_figures(mean, sequence.statistics("J"), sequence.statistics("F")))
    sheet.add_section()
    sheet.add_row(
        "mean", *_figures(scores.figures["J&F"], scores.statistics("J"), scores.statistics("F")), style="bold"
    )
    return sheet


def compare_table(results: Sequence[tuple[str, Scores]]) -> Table:
    """The means of several methods, one a row, under their labels.

    Raises:
        UserError: there are none, or they differ in protocol or in what they scored.
    """
    if not results:
        raise UserError("there are no results to compare: name at least one scores.json")
    for _, scores in results[1:]:
        require_comparable(results[0][1], scores)
    sheet = _empty_table(results[0][1], "method")
    for label, scores in results:
        sheet.add_row(label, *_figures(scores.figures["J&F"], scores.statistics("J"), scores.statistics("F")))
    return sheet


def show(sheet: Table, console: Console | None = None) -> None:
    """Prints a table."""
    (console or Console()).print(sheet)


def _empty_table(scores: Scores, first: str) -> Table:
    sheet = Table(
        title=f"{scores.subject}\nprotocol {scores.protocol}: {scores.rule}\nmeans over sequences",
        title_justify="left",
        title_style="",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    sheet.add_column(f"\n{first}", overflow="fold")
    for name in _FIGURES:
        sheet.add_column(name if "\n" in name else f"\n{name}", justify="right", no_wrap=True)
    return sheet


def _figures(mean: float, j: Statistics, f: Statistics) -> Iterator[str]:
    return (f"{value:.3f}" for value in (mean, j.mean, j.recall, j.decay, f.mean, f.recall, f.decay))


def _row(kind: str, place: int, sequence: Row, video: Video, masks_dir: Path) -> np.ndarray:
    name = sequence.frames[place]
    index = video.frame_names.index(name)
    caption = (
        f"{video.name} {name} ({kind}): J {sequence.series['J'][place]:.3f}, F {sequence.series['F'][place]:.3f}; "
        f"mean of {len(sequence.frames)} frames: J {sequence.statistics('J').mean:.3f}, F {sequence.statistics('F').mean:.3f}"
    )
    mask = read_mask(masks_dir / video.name / f"{name}.png")
    return side_by_side(video.read_frame(index), video.read_mask(index), mask, caption=caption)
