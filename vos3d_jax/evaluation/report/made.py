"""How a result was made, beside scores.json, which has no times as the same masks give it the same bytes.

By the same file the scores of something else are told from those of the same command (`records`).
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from vos3d_jax import files
from vos3d_jax.evaluation.scores import Scores

MADE = "made.json"


@dataclass(frozen=True)
class Made:
    """When and how a result was made.

    Attributes:
        command: what was typed.
        results: the scored masks, a folder or a zip file.
        date: in UTC.
        settings: what the scores are of beside the results, as JSON values.
    """

    command: str
    results: str
    date: str
    settings: Mapping[str, Any]

    @classmethod
    def now(cls, command: str, results: str | Path, settings: Mapping[str, Any]) -> "Made":
        """Returns one of the present time, and the whole path of the results."""
        date = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
        return cls(command, str(Path(results).resolve()), date, settings)

    @property
    def record(self) -> dict[str, Any]:
        """Returns what the scores are of."""
        return {"results": self.results, **self.settings}

    def write(self, folder: Path) -> None:
        """Leaves it in the folder of a scores.json."""
        files.write(folder / MADE, json.dumps(asdict(self), indent=1, ensure_ascii=False).encode())


@dataclass(frozen=True)
class Other:
    """A result to compare with.

    Attributes:
        scores: the result.
        results: its masks, a folder or a zip file; None: not at hand.
        absent: why they are not, in words.
    """

    scores: Scores
    results: Path | None = None
    absent: str = ""

    @property
    def name(self) -> str:
        """Returns what tables call it."""
        return self.scores.method or "the other result"


def find_other(scores: Scores, file: Path) -> Other:
    """Returns a result with its masks, beside its scores.json (as of `main`) or where they were scored.

    Masks that are newer than the scores may be those of another method by now, and are left alone.
    """
    results: Path | None = file.parent / "masks"
    if not results.is_dir():
        try:
            results = Path(json.loads((file.parent / MADE).read_text("utf-8"))["results"])
        except (OSError, ValueError, KeyError, TypeError):
            results = None
    if results is None:
        return Other(scores, None, f"no {MADE} beside {file} says where they are")
    if not results.exists():
        return Other(scores, None, f"they are no longer at {results}")
    files = results.rglob("*.png") if results.is_dir() else [results]
    newest = max((path.stat().st_mtime for path in files if path.is_file()), default=0.0)
    if newest > file.stat().st_mtime:
        return Other(scores, None, f"{results} has changed since it was scored")
    return Other(scores, results)
