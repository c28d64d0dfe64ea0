"""Plain values into data classes: which keys there are, by the rows that other keys name."""

from dataclasses import dataclass, field

import pytest

from vos3d_jax import schema
from vos3d_jax.errors import UserError


@dataclass(frozen=True)
class Round:
    radius: float = 1.0


@dataclass(frozen=True)
class Square:
    side: int = 1


@dataclass(frozen=True)
class Drawing:
    colour: str = field(default="red", metadata={"--colour NAME": "a flag's help is no row"})
    kind: str = "round"
    shape: Round | Square = field(
        default=Round(), metadata={"rows": {"round": Round, "square": Square}, "named_by": "kind"}
    )


def test_the_options_of_a_row_stand_beside_the_key_that_names_it():
    assert schema.parse({"radius": 2}, Drawing, "drawing") == Drawing(shape=Round(2.0))
    values = {"colour": "blue", "kind": "square", "side": 3}
    assert schema.parse(values, Drawing, "drawing") == Drawing("blue", "square", Square(3))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"kind": "square", "radius": 2}, "drawing.radius is not a known key: known are colour, kind, side"),
        ({"kind": "oval"}, "drawing.kind is 'oval': expected one of 'round', 'square'"),
        ({"color": "red"}, "drawing.color is not a known key: did you mean colour?"),
        ({"colour": 3}, "drawing.colour is 3: expected a string"),
        ({"radius": True}, "drawing.radius is True: expected a number"),
    ],
)
def test_what_does_not_fit_is_told_by_its_key(values, message):
    with pytest.raises(UserError) as refusal:
        schema.parse(values, Drawing, "drawing")
    assert str(refusal.value) == message
