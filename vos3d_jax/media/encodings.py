"""What the values of a video's masks mean, decided once from all of its files.

Nobody promises how the masks of one's own videos are stored, and one file does not tell: 0 and 255 are an
object and its background in black and white masks, but no object and void among masks of ids. So every file
is summed up by its values, and the sums are judged together. What cannot be told for certain is refused by
the name of a file.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from jaxtyping import UInt8

from vos3d_jax.constants import VOID
from vos3d_jax.errors import UserError
from vos3d_jax.media.masks import PALETTE, StoredMask, UnfitMask, read_stored

Choice = Literal["half", "ids"] | None
CHOICES = ("half", "ids")

_FEW = 20  # more grey levels than that, or brighter ones beside white, are no ids
_HALF = 127
_SOFT = ("soft edges", "greys", "stray")  # what the choice "half" is for


@dataclass(frozen=True)
class Levels:
    """The values of one mask: how many pixels have each, and in which colours a palette shows them."""

    path: str | Path
    counts: Mapping[int, int]
    palette: bytes | None = None

    @property
    def grey(self) -> bool:
        """Whether the picture shows its values as greys of the same numbers."""
        return all(self.colour(value) == (value,) * 3 for value in self.counts)

    def colour(self, value: int) -> tuple[int, ...]:
        """Returns R, G, B of a value."""
        if self.palette is None:
            return (value,) * 3
        return tuple(self.palette[3 * value : 3 * value + 3])


@dataclass(frozen=True)
class Meaning:
    """What the values of a video's masks mean.

    Attributes:
        rule: "one", 0 and 255 are background and object 1; "ids", values are ids; "half", what is brighter
            than 127 is object 1.
        ids: those that occur in the video, without background and void.
        void: 255 occurs among ids and is neither object nor background.
    """

    rule: Literal["one", "ids", "half"]
    ids: tuple[int, ...]
    void: bool = False

    def ids_of(self, values: UInt8[np.ndarray, "h w"]) -> UInt8[np.ndarray, "h w"]:
        """Returns the ids of a mask with these values: 0 background, 1.. objects, 255 void."""
        if self.rule == "ids":
            return values
        return (values > (_HALF if self.rule == "half" else 0)).view(np.uint8)

    @property
    def words(self) -> str:
        """What is said of it: "one object (0 and 255)", "ids, 255 is void", ..."""
        if self.rule == "half":
            return "one object (soft edges, cut at the half)"
        if self.rule == "one":
            return "one object (0 and 255)"
        words = "ids" if self.ids else "no object"
        if len(self.ids) == 1:
            words = f"one object (0 and {self.ids[0]})"
        return f"{words}, 255 is void" if self.void else words


CUT = Meaning("half", (1,))


def levels(path: str | Path, mask: StoredMask) -> Levels:
    """Returns the values of a mask that was read from `path`, counted."""
    values = mask.values
    largest, filled = int(values.max(initial=0)), cv2.countNonZero(values)
    if cv2.sumElems(values)[0] == largest * filled:  # one value beside 0: nearly all masks, and fast
        counts = {largest: filled, 0: values.size - filled}
    else:
        histogram = cv2.calcHist([values], [0], None, [256], [0, 256])
        counts = dict(enumerate(histogram.ravel().astype(int).tolist()))
    return Levels(path, {value: count for value, count in counts.items() if count}, mask.palette)


def file_fault(mask: Levels, white: bool = False) -> UnfitMask | None:
    """Returns why a mask is neither ids nor one object, alone or, with `white`, among masks that have 255."""
    values = sorted(value for value in mask.counts if value)
    white = white or VOID in values
    if not mask.grey or not (len(values) > _FEW or white and any(_FEW < value < VOID for value in values)):
        return None
    if len(values) < 3:
        return UnfitMask("greys", mask.path, _listed(values))
    return UnfitMask("soft edges", mask.path, str(len(values)))


def decide(files: Iterable[Levels], choice: Choice = None) -> Meaning:
    """Returns what the values of a video's masks mean; of one mask alone, where there is but one.

    - 0 and 255 alone, in all files: one object, with id 1, whatever the mode (palettes too).
    - else values are ids, and 255 is void, also where it is alone in a file.

    Args:
        files: all masks of the video.
        choice: "ids": they are ids, whatever they look like; "half": soft edges, stray greys and drawn greys
            are cut at the half. None: they are refused.

    Raises:
        UnfitMask: soft edges, stray greys beside 255, more void than objects, several greys on a background
            that is not 0, ids that one palette shows as greys of other numbers or two in different colours.
    """
    files = list(files)
    total: Counter[int] = Counter()
    for mask in files:
        total.update(mask.counts)
    ids = tuple(sorted(value for value in total if 0 < value < VOID))
    if choice != "ids":
        if not ids and VOID in total:
            return Meaning("one", (1,))
        fault = _fault(files, total, ids)
        if fault is not None and choice == "half" and fault.kind in _SOFT:
            return CUT
        if fault is not None:
            raise fault
    return Meaning("ids", ids, void=VOID in total)


def read_mask(path: str | Path, choice: Choice = None) -> UInt8[np.ndarray, "h w"]:
    """Returns the ids of a mask that stands alone, uint8 [h, w]: 0 background, 1.. objects, 255 void.

    Raises:
        UserError: the file is missing or damaged; `UnfitMask` where `read_stored` or `decide` raise it.
    """
    mask = read_stored(path)
    return decide([levels(path, mask)], choice).ids_of(mask.values)


def require_choice(choice: str | None) -> None:
    """Returns if `choice` is one of `decide`'s; raises `UserError` otherwise."""
    if choice not in (None, *CHOICES):
        raise UserError(f"mask_values={choice!r} is unknown: choose one of {', '.join(CHOICES)}")


def _fault(files: Sequence[Levels], total: Mapping[int, int], ids: tuple[int, ...]) -> UnfitMask | None:
    """What makes the meaning uncertain, by the first file that shows it."""
    white = VOID in total
    fault = next(filter(None, (file_fault(mask, white) for mask in files)), None)
    if fault is not None:
        return fault
    if len(ids) + white < 2:
        return None
    if white and total[VOID] > sum(total[value] for value in ids):
        mask = next(mask for mask in files if not mask.counts.keys() <= {0, VOID})
        value = next(value for value in mask.counts if 0 < value < VOID)
        amount = "1 pixel" if mask.counts[value] == 1 else f"{mask.counts[value]} pixels"
        return UnfitMask("stray", mask.path, f"{amount} of {value}")
    colours: dict[int, tuple[int, ...]] = {}
    for mask in files:
        ids_here = {value: mask.colour(value) for value in mask.counts if 0 < value < VOID}
        if len(ids_here) > 1 and all(_shade(value, colour) for value, colour in ids_here.items()):
            return UnfitMask("shades", mask.path, _listed(ids_here))
        if mask.palette is not None:
            for value, colour in ids_here.items():
                if colours.setdefault(value, colour) != colour:
                    return UnfitMask("other palette", mask.path, str(value))
    common = max(total, key=lambda value: total[value])
    if common and max(ids) > _FEW and all(mask.grey for mask in files):
        return UnfitMask("background", files[0].path, str(common))
    return None


def _shade(value: int, colour: tuple[int, ...]) -> bool:
    """Whether a palette shows a value as a grey of another number; of Pascal VOC some ids are grey."""
    return len(set(colour)) == 1 and colour[0] != value and colour != tuple(PALETTE[value])


def _listed(values: Iterable[int]) -> str:
    return ", ".join(map(str, values))
