"""A pickle machine that can build numbers, texts, lists, dicts and the values of `pickle_values`, no more.

It imports no name, calls nothing, and its memory is bounded.

Long byte strings and texts are not read but become a `Chunk` of the file, so that a pickle of arrays
is as lazy as any other container.
"""

import struct
from collections.abc import Callable

from vos3d_jax.porting.readers.file_bytes import Chunk, FileBytes, printable
from vos3d_jax.porting.readers.pickle_values import (
    INERT,
    ArrayReference,
    ArrayType,
    Global,
    Malformed,
    Placeholder,
    Refused,
    key_of,
    resolve,
    text_of,
)

_INLINE = 1024  # bytes up to which a string is kept in memory
_WINDOW = 1 << 16
_MARGIN = 2048  # more than any instruction's own bytes with an inline string or two names
_BUDGET = 64 << 20  # bytes that the values may take by our count; the largest published file needs a tenth


class Machine:
    """Runs one pickle after the other from a range of a file.

    Args:
        file: that is read, open.
        start: where the first pickle begins.
        end: where the range ends.
        persistent: what a persistent id becomes; None where there may be none.
    """

    def __init__(
        self,
        file: FileBytes,
        start: int,
        end: int,
        persistent: Callable[[object], object] | None = None,
    ):
        self.persistent = persistent
        self.placeholders: dict[str, None] = {}
        self._file, self._end = file, end
        self._globals: dict[tuple[str, str], Global] = {}
        self._budget = _BUDGET
        self._base, self._at = start, 0
        self._refill()

    @property
    def position(self) -> int:
        """Where in the file the next byte is read."""
        return self._base + self._at

    def run(self) -> object:
        """Returns the value of the next pickle.

        Raises:
            UserError: it asks for something to be imported or run, is malformed, too large, or cut short.
        """
        self._stack: list = []
        self._marks: list[list] = []
        self._memo: dict[int, object] = {}
        try:
            return self._run()
        except Refused as error:
            raise self._file.problem(
                f"{printable(error, 160)}: refused, nothing of it was run; a file of weights needs no "
                "such thing"
            ) from None
        except (Malformed, IndexError, KeyError, TypeError, UnicodeError) as error:
            if self.position >= self._end:
                raise self._file.problem(
                    f"is cut short: its pickle has no end at byte {self._end}; fetch the file again"
                ) from None
            what = printable(error) if isinstance(error, Malformed) else "an instruction that does not fit"
            raise self._file.problem(
                f"holds a malformed pickle ({what}, at byte {self.position}): fetch the file again"
            ) from None

    def _run(self) -> object:
        handlers, costs = _HANDLERS, _COSTS
        while True:
            if self._at > self._refill_at:
                self._refill()
            opcode = self._buffer[self._at]
            self._at += 1
            self._budget -= costs[opcode]
            if self._budget < 0:
                self._spend(0)
            if opcode == 0x72:  # LONG_BINPUT: every fourth instruction of a file of torch
                self._memo[self._number(4)] = self._stack[-1]
            elif opcode == 0x68:  # BINGET: every seventh
                self._stack.append(self._memo[self._byte()])
            elif opcode == 0x2E:  # STOP
                return self._stack.pop()
            else:
                handlers[opcode](self)

    def _refill(self) -> None:
        self._base += self._at
        self._at = 0
        length = max(0, min(_WINDOW, self._end - self._base))
        self._buffer = self._file.read(self._base, length)
        last = self._base + length >= self._end
        self._refill_at = length if last else length - _MARGIN

    def _spend(self, cost: int) -> None:
        self._budget -= cost
        if self._budget < 0:
            raise self._file.problem("describes more objects than any published checkpoint: refused")

    def _take(self, count: int) -> bytes:
        start = self._at
        self._at = start + count
        if self._at > len(self._buffer):
            raise self._cut_short()
        return self._buffer[start : start + count]

    def _cut_short(self) -> Malformed:
        self._at = len(self._buffer)
        return Malformed("cut short")

    def _byte(self) -> int:
        self._at += 1
        return self._buffer[self._at - 1]

    def _number(self, count: int, signed: bool = False) -> int:
        start = self._at
        self._at = start + count
        if self._at > len(self._buffer):
            raise self._cut_short()
        return int.from_bytes(self._buffer[start : start + count], "little", signed=signed)

    def _string(self, length: int) -> bytes | Chunk:
        """The next `length` bytes: themselves when short, else where they are in the file."""
        if length < 0:
            raise Malformed("a string of negative length")
        if length <= _INLINE:
            self._spend(length)
            return self._take(length)
        if length > self._end - self.position:
            self._base, self._at = self._end, 0
            raise Malformed("a string longer than the file")
        chunk = Chunk(self._file, self.position, length)
        self._at += length
        return chunk

    def _line(self) -> str:
        end = self._buffer.find(b"\n", self._at, self._at + 512)
        if end < 0:
            raise Malformed("a name without end")
        line = self._buffer[self._at : end]
        self._at = end + 1
        return line.decode("utf-8")

    def _pop_mark(self) -> list:
        items = self._stack
        self._stack = self._marks.pop()
        return items

    def _put(self, index: int) -> None:
        self._memo[index] = self._stack[-1]

    def _push_global(self, module: str | None, name: str | None) -> None:
        if module is None or name is None:
            raise Malformed("a global without a name")
        if (known := self._globals.get((module, name))) is None:
            self._spend(1024)
            known = self._globals[module, name] = resolve(module, name)
        self._stack.append(known)

    def _push_bytes(self, length: int) -> None:
        string = self._string(length)
        self._stack.append(Chunk(None, 0, length, string) if isinstance(string, bytes) else string)

    def _push_text(self, length: int) -> None:
        string = self._string(length)
        # A lone surrogate is legal in a pickle; long texts (a config) are never looked into.
        self._stack.append(string.decode("utf-8", "surrogatepass") if isinstance(string, bytes) else string)

    def _push_integer(self, length: int) -> None:
        if not 0 <= length <= 64:
            raise Malformed("a number of unusual length")
        self._stack.append(self._number(length, signed=True))

    def _push_collected(self, collect: Callable[[list], object]) -> None:
        items = self._pop_mark()
        self._stack.append(collect(items))

    def _push_tuple(self, count: int) -> None:
        if len(self._stack) < count:
            raise IndexError
        self._stack[-count:] = [tuple(self._stack[-count:])]

    def _call(self) -> None:
        arguments = self._stack.pop()
        callee = self._stack[-1]
        if not isinstance(arguments, tuple):
            raise Malformed("a call without a tuple of arguments")
        if isinstance(callee, Placeholder):
            return
        if not isinstance(callee, Global) or callee.call is None:
            raise Malformed("a call of a value")
        for argument in arguments[:2]:  # what a call copies, it may copy again and again
            if isinstance(argument, list | dict | str):
                self._spend((4 if isinstance(argument, str) else 100) * len(argument))
        result = callee.call(arguments)
        if isinstance(result, Placeholder) and result is not INERT:
            self.placeholders[result.name] = None
        self._stack[-1] = result

    def _build(self) -> None:
        state = self._stack.pop()
        target = self._stack[-1]
        if isinstance(target, ArrayReference | ArrayType):
            target.build(state)
        elif not isinstance(target, dict | Placeholder):  # an OrderedDict's `_metadata`: not needed
            raise Malformed("a state for a value that has none")

    def _append(self, items: list) -> None:
        target = self._stack[-1]
        if isinstance(target, list):
            target.extend(items)
        elif not isinstance(target, Placeholder):
            raise Malformed("items for a value that is no list")

    def _set_items(self, items: list) -> None:
        target = self._stack[-1]
        if isinstance(target, Placeholder):
            return
        if type(target) is not dict or len(items) % 2:
            raise Malformed("entries for a value that is no dict")
        self._spend(50 * len(items))
        for key, value in zip(items[::2], items[1::2], strict=True):
            key = key_of(key)
            if key in target:
                raise Malformed(f"the key {printable(key)} twice")
            target[key] = value

    def _set_item(self) -> None:
        value = self._stack.pop()
        key = self._stack.pop()
        self._set_items([key, value])

    def _add_items(self, items: list) -> None:
        if self._stack[-1] is not INERT:
            raise Malformed("elements for a value that is no set")

    def _pop(self) -> None:
        if self._stack:
            self._stack.pop()
        else:
            self._pop_mark()

    def _mark(self) -> None:
        self._marks.append(self._stack)
        self._stack = []

    def _push_persistent(self) -> None:
        if self.persistent is None:
            raise Malformed("a persistent id")
        self._stack[-1] = self.persistent(self._stack[-1])

    def _protocol(self) -> None:
        if self._byte() > 5:
            raise Malformed("an unknown protocol")


def _refused(name: str) -> Callable[[Machine], None]:
    def refuse(machine: Machine) -> None:
        raise Malformed(f"instruction {name}")

    return refuse


# Instruction -> (what it does, bytes that its result takes by our count).
_INSTRUCTIONS: dict[int, tuple[Callable[[Machine], None] | None, int]] = {
    0x80: (Machine._protocol, 24),  # PROTO
    0x95: (lambda m: m._number(8), 24),  # FRAME: its length tells nothing that is needed
    0x28: (Machine._mark, 80),  # MARK
    0x30: (Machine._pop, 24),  # POP
    0x31: (lambda m: m._pop_mark(), 24),  # POP_MARK
    0x4E: (lambda m: m._stack.append(None), 24),  # NONE
    0x88: (lambda m: m._stack.append(True), 24),  # NEWTRUE
    0x89: (lambda m: m._stack.append(False), 24),  # NEWFALSE
    0x4A: (lambda m: m._stack.append(m._number(4, signed=True)), 40),  # BININT
    0x4B: (lambda m: m._stack.append(m._byte()), 24),  # BININT1
    0x4D: (lambda m: m._stack.append(m._number(2)), 40),  # BININT2
    0x8A: (lambda m: m._push_integer(m._byte()), 100),  # LONG1
    0x8B: (lambda m: m._push_integer(m._number(4, signed=True)), 100),  # LONG4
    0x47: (lambda m: m._stack.append(struct.unpack(">d", m._take(8))[0]), 40),  # BINFLOAT
    0x58: (lambda m: m._push_text(m._number(4)), 120),  # BINUNICODE
    0x8C: (lambda m: m._push_text(m._byte()), 120),  # SHORT_BINUNICODE
    0x8D: (lambda m: m._push_text(m._number(8)), 120),  # BINUNICODE8
    0x54: (lambda m: m._push_bytes(m._number(4, signed=True)), 160),  # BINSTRING
    0x55: (lambda m: m._push_bytes(m._byte()), 160),  # SHORT_BINSTRING
    0x42: (lambda m: m._push_bytes(m._number(4)), 160),  # BINBYTES
    0x43: (lambda m: m._push_bytes(m._byte()), 160),  # SHORT_BINBYTES
    0x8E: (lambda m: m._push_bytes(m._number(8)), 160),  # BINBYTES8
    0x96: (lambda m: m._push_bytes(m._number(8)), 160),  # BYTEARRAY8
    0x5D: (lambda m: m._stack.append([]), 100),  # EMPTY_LIST
    0x61: (lambda m: m._append([m._stack.pop()]), 24),  # APPEND
    0x65: (lambda m: m._append(m._pop_mark()), 24),  # APPENDS
    0x7D: (lambda m: m._stack.append({}), 100),  # EMPTY_DICT
    0x73: (Machine._set_item, 100),  # SETITEM
    0x75: (lambda m: m._set_items(m._pop_mark()), 100),  # SETITEMS
    0x29: (lambda m: m._stack.append(()), 24),  # EMPTY_TUPLE
    0x74: (lambda m: m._push_collected(tuple), 80),  # TUPLE
    0x85: (lambda m: m._push_tuple(1), 80),  # TUPLE1
    0x86: (lambda m: m._push_tuple(2), 80),  # TUPLE2
    0x87: (lambda m: m._push_tuple(3), 80),  # TUPLE3
    0x8F: (lambda m: m._stack.append(INERT), 24),  # EMPTY_SET
    0x90: (lambda m: m._add_items(m._pop_mark()), 24),  # ADDITEMS
    0x91: (lambda m: m._push_collected(lambda items: INERT), 24),  # FROZENSET
    0x71: (lambda m: m._put(m._byte()), 24),  # BINPUT
    0x72: (None, 140),  # LONG_BINPUT: see `_run`
    0x94: (lambda m: m._put(len(m._memo)), 140),  # MEMOIZE
    0x68: (None, 24),  # BINGET: see `_run`
    0x6A: (lambda m: m._stack.append(m._memo[m._number(4)]), 24),  # LONG_BINGET
    0x63: (lambda m: m._push_global(m._line(), m._line()), 24),  # GLOBAL
    0x93: (lambda m: m._push_global(*map(text_of, (m._stack.pop(-2), m._stack.pop()))), 24),  # STACK_GLOBAL
    0x52: (Machine._call, 300),  # REDUCE
    0x81: (Machine._call, 300),  # NEWOBJ
    0x62: (Machine._build, 24),  # BUILD
    0x51: (Machine._push_persistent, 200),  # BINPERSID
}
_NAMED = {
    0x69: "INST", 0x6F: "OBJ", 0x82: "EXT1", 0x83: "EXT2", 0x84: "EXT4", 0x50: "PERSID", 0x92: "NEWOBJ_EX",
    0x97: "NEXT_BUFFER", 0x98: "READONLY_BUFFER", 0x32: "DUP",
}  # fmt: skip
_HANDLERS = [
    _INSTRUCTIONS[code][0] if code in _INSTRUCTIONS else _refused(_NAMED.get(code, f"0x{code:02x}"))
    for code in range(256)
]
_COSTS = [_INSTRUCTIONS[code][1] if code in _INSTRUCTIONS else 24 for code in range(256)]
