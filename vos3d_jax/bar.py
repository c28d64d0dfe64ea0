"""The bar by which commands show on a terminal that they go on."""

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


def progress_bar(verb: str, things: str, console: Console) -> Progress:
    """Returns a bar "verb ... n/m things" and its tasks' `rate`; it shows nothing but on a terminal."""
    return Progress(
        TextColumn(verb),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(things + "{task.fields[rate]}"),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
    )
