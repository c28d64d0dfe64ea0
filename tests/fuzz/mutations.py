"""Changes to files that find what a reader believes too easily."""

import random
import struct
from collections.abc import Sequence

_NUMBERS = (
    0,
    1,
    0x7F,
    0x80,
    0xFF,
    0x7FFF,
    0x8000,
    0xFFFF,
    0x7FFFFFFF,
    0x80000000,
    0xFFFFFFFF,
    2**63 - 1,
    2**64 - 1,
)
_HEADER = 512  # bytes at both ends that are changed more often: there files say what they hold


def change(content: bytes, rng: random.Random, others: Sequence[bytes] = ()) -> bytes:
    """Returns the content after one to four random changes; `others` are files to take pieces from."""
    for _ in range(rng.choice((1, 1, 1, 2, 3, 4))):
        content = rng.choice(_CHANGES)(content, rng, others) if content else rng.randbytes(rng.randint(0, 64))
    return content


def place(content: bytes, rng: random.Random) -> int:
    """Returns a position in the content, half of the time in its head or its tail."""
    at = rng.randrange(len(content))
    if rng.random() < 0.5:
        at %= _HEADER
        return at if rng.random() < 0.5 else len(content) - 1 - at
    return at


def _flip(content: bytes, rng: random.Random, others: Sequence[bytes]) -> bytes:
    at = place(content, rng)
    return _put(content, at, bytes([content[at] ^ 1 << rng.randrange(8)]))


def _set(content: bytes, rng: random.Random, others: Sequence[bytes]) -> bytes:
    return _put(
        content, place(content, rng), rng.choice((b"\0", b"\x7f", b"\x80", b"\xff", rng.randbytes(1)))
    )


def _number(content: bytes, rng: random.Random, others: Sequence[bytes]) -> bytes:
    letter, mask = rng.choice((("H", 0xFFFF), ("I", 0xFFFFFFFF), ("Q", 2**64 - 1)))
    number = (rng.choice(_NUMBERS) + rng.choice((-1, 0, 0, 1))) & mask
    return _put(content, place(content, rng), struct.pack(rng.choice("<>") + letter, number))


def _zeros(content: bytes, rng: random.Random, others: Sequence[bytes]) -> bytes:
    return _put(content, place(content, rng), bytes(rng.randint(1, 64)))


def _cut(content: bytes, rng: random.Random, others: Sequence[bytes]) -> bytes:
    return content[: place(content, rng)]


def _without(content: bytes, rng: random.Random, others: Sequence[bytes]) -> bytes:
    at = place(content, rng)
    return content[:at] + content[at + _length(rng) :]


def _insert(content: bytes, rng: random.Random, others: Sequence[bytes]) -> bytes:
    at = place(content, rng)
    return content[:at] + rng.randbytes(_length(rng)) + content[at:]


def _twice(content: bytes, rng: random.Random, others: Sequence[bytes]) -> bytes:
    at, length = place(content, rng), _length(rng)
    return (
        content[: at + length]
        + content[at : at + length] * rng.choice((1, 1, 2, 100))
        + content[at + length :]
    )


def _moved(content: bytes, rng: random.Random, others: Sequence[bytes]) -> bytes:
    at, to, length = place(content, rng), place(content, rng), _length(rng)
    return _put(content, to, content[at : at + length])


def _splice(content: bytes, rng: random.Random, others: Sequence[bytes]) -> bytes:
    other = rng.choice(others) if others else content
    return content[: place(content, rng)] + other[place(other, rng) :] if other else content


def _put(content: bytes, at: int, piece: bytes) -> bytes:
    """The content with a piece laid over it, at its old length."""
    return (content[:at] + piece + content[at + len(piece) :])[: len(content)]


def _length(rng: random.Random) -> int:
    return rng.choice((1, 2, 4, 8, 16, 64, 512, 4096))


_CHANGES = (
    _flip,
    _flip,
    _set,
    _set,
    _number,
    _number,
    _zeros,
    _cut,
    _without,
    _insert,
    _twice,
    _moved,
    _splice,
)
