"""How a clip-wise predictor runs a network: the settings of flags, cards and Python, checked in one place."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from vos3d_jax.errors import UserError
from vos3d_jax.inference import clips


@dataclass(frozen=True)
class Settings:
    """The settings of `Predictor`; the defaults are those that 3DC-Seg was published with (for DAVIS).

    Attributes:
        clip_length: frames of a clip.
        overlap: frames that neighbouring clips share (the paper's dense mode: clip_length - 1).
        tail: how the last clips are made, "code" (the published program) or "paper"; see `inference.clips`.
        short_edge: pixels to which the shorter side is resized; 0 (for `Predictor` None too) keeps the
            frames' size. Both sides are then padded with black to multiples of 32.
        trained_edge: where a card keeps the frames' size, the shorter side that its network was trained for:
            larger frames are brought to it. 0 is unknown; a `short_edge` that is given replaces both.

    Raises:
        UserError: a value cannot be used.
    """

    clip_length: int = 8
    overlap: int = 3
    tail: str = "code"
    short_edge: int = 480
    trained_edge: int = 0

    def __post_init__(self):
        clips.check(self.clip_length, self.overlap, self.tail)
        if self.short_edge < 0:
            raise UserError(
                f"short_edge is {self.short_edge}: give a number of pixels, or 0 to keep the frames' size"
            )

    def edge(self, size: tuple[int, int]) -> int | None:
        """Pixels of the shorter side in the network for frames of `size` (height, width); None keeps it."""
        if self.short_edge or not 0 < self.trained_edge < min(size):
            return self.short_edge or None
        return self.trained_edge

    def described(self) -> dict[str, Any]:
        """Returns the settings that people give, by name; `short_edge` in words where it is a limit."""
        values = asdict(self)
        trained_edge = values.pop("trained_edge")
        limit = trained_edge and not self.short_edge
        return {**values, "short_edge": f"that of the frames, at most {trained_edge}"} if limit else values

    def __str__(self) -> str:
        return ", ".join(f"{name}={value!r}" for name, value in self.described().items())

    def changed(self, values: Mapping[str, Any], source: str = "") -> "Settings":
        """Returns these settings with other `values`; `source` says in an error whose they are.

        Raises:
            UserError: there is no such setting, or a value cannot be used.
        """
        values = {
            name: 0 if name == "short_edge" and value is None else value for name, value in values.items()
        }
        if "short_edge" in values:
            values = {"trained_edge": 0, **values}
        kinds = {field.name: field.type for field in fields(self)}
        offered = [name for name in kinds if name != "trained_edge"]  # a card's alone
        for name, value in values.items():
            if name not in kinds:
                raise UserError(f"{source}{name} is no setting of the predictor: it has {', '.join(offered)}")
            if type(value) is not kinds[name]:
                kind = {int: "a whole number", str: "a word"}[kinds[name]]
                raise UserError(f"{source}{name} is {value!r}: give {kind}")
        return replace(self, **values)
