"""Which kind of predictor runs the networks of a system.

Light to import, as `segment` has its flags from here.
"""

from collections.abc import Iterator
from typing import Any, ClassVar, Protocol

from vos3d_jax.errors import UserError
from vos3d_jax.inference.clipwise import ClipWise


class Kind(Protocol):
    """A kind of predictor: a frozen data class of its settings, which it checks when it is made.

    The metadata of a field are its flags of `segment` and their help: "--flag N" takes a number, "--flag a|b"
    one of these words, and "--word" alone stands for the word.

    Attributes:
        takes_masks: whether it uses masks that are given. If so, the first mask of an object, that of an
            object that appears later and a correction are the same thing: from that frame on each id of the
            mask is where the mask says, and the others go on.
        delay: masks leave so many at a time, after as many frames; 1: each as soon as its frame has come.
    """

    takes_masks: ClassVar[bool]
    delay: int

    def restart(self, index: int) -> int:
        """Returns the frame to begin with for results from `index` on that are those of a whole run."""

    def run(self, network: Any, frames: Iterator[Any]) -> Iterator[tuple]:
        """Yields (index, probability of each id, fit) of every frame in order, as soon as it is final.

        Args:
            network: a `compiled.CompiledNetwork`.
            frames: `frame.GivenFrame`s: number, picture, and mask where one is given.

        The probabilities are float32 [h, w, ids] at the network's size, without padding; id 0 is background.
        `fit` is the `sizes.Fit` that leads back to the frame's size.
        """


PREDICTORS: dict[str, type] = {"dcseg": ClipWise}  # each a `Kind`


def kind_of(system: str) -> type:
    """Returns the kind of predictor for networks of `system`; UserError where they give no masks."""
    if system not in PREDICTORS:
        raise UserError(f"a {system} gives no masks: give a {' or '.join(PREDICTORS)}")
    return PREDICTORS[system]
