"""Bytes of a file, read at given places and never more than asked: what all readers stand on.

A file is opened for each read and closed again, so that a lazy tensor holds no handle; a file that was
changed in between is noticed. Texts of strangers (names, classes) pass through `printable` before they are
put into a message.
"""

import codecs
import os
import stat
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from vos3d_jax.errors import UserError

BLOCK = 1 << 20  # bytes held at once where a file is only looked through


class FileBytes:
    """A regular file: `path` and `size` in bytes. As a context manager it keeps the file open.

    Raises:
        UserError: there is no such file, it cannot be read, or it is not a regular file.
    """

    def __init__(self, path: str | os.PathLike):
        self.path = Path(path)
        self._open: BinaryIO | None = None
        try:
            state = os.stat(path)
        except (OSError, ValueError) as error:
            raise self.problem(f"cannot be read: {_reason(error)}") from None
        if not stat.S_ISREG(state.st_mode):
            kind = "a folder" if stat.S_ISDIR(state.st_mode) else "not a regular file"
            raise self.problem(f"is {kind}: give the checkpoint file itself")
        self.size = state.st_size
        self._identity = _identity(state)

    def __enter__(self):
        self._open = self._opened()
        return self

    def __exit__(self, *_):
        self._open.close()
        self._open = None

    def problem(self, what: str) -> UserError:
        """Returns the error that this file `what` ("is damaged: ..."): one line that begins with its name."""
        return UserError(f"{printable(self.path)} {what}")

    def read(self, offset: int, length: int) -> bytes:
        """Returns `length` bytes from `offset`, which the caller knows to lie within `size`."""
        content = bytearray(length)
        self.read_into(offset, memoryview(content))
        return bytes(content)

    def read_into(self, offset: int, buffer: memoryview) -> None:
        """Fills `buffer` (of bytes) from `offset`.

        Raises:
            UserError: the file ends before, was changed since this object was made, or cannot be read.
        """
        if self._open is not None:
            return self._fill(self._open, offset, buffer)
        with self._opened() as file:
            self._fill(file, offset, buffer)

    def crc32(self, offset: int, length: int) -> int:
        """Returns the CRC-32 of a range, looked through block by block."""
        crc, block = 0, memoryview(bytearray(min(BLOCK, length)))
        for start in range(0, length, BLOCK):
            part = block[: min(BLOCK, length - start)]
            self.read_into(offset + start, part)
            crc = zlib.crc32(part, crc)
        return crc

    def _opened(self) -> BinaryIO:
        try:
            file = open(self.path, "rb", buffering=0)
        except OSError as error:
            raise self.problem(f"cannot be read: {_reason(error)}") from None
        if _identity(os.fstat(file.fileno())) != self._identity:
            file.close()
            raise self.problem("was changed while it was read: open it again")
        return file

    def _fill(self, file: BinaryIO, offset: int, buffer: memoryview) -> None:
        try:
            file.seek(offset)
            done = 0
            while done < len(buffer):
                count = file.readinto(buffer[done:])
                if not count:
                    raise self.problem(
                        f"is cut short: {offset + done} bytes, "
                        f"{offset + len(buffer)} expected; fetch it again"
                    )
                done += count
        except OSError as error:
            raise self.problem(f"cannot be read: {_reason(error)}") from None


class Chunk:
    """A run of bytes that a checkpoint holds: a range of the file, or a few bytes kept in memory.

    Args:
        file: that holds it; None for bytes in memory.
        offset: where the range begins in the file.
        length: of the range, in bytes of the file.
        content: the bytes themselves, for a short run.
        latin1: the range is UTF-8 text whose characters are the bytes (`_codecs.encode(text, "latin1")`).
    """

    __slots__ = ("file", "offset", "length", "content", "latin1", "_nbytes")

    def __init__(
        self,
        file: FileBytes | None,
        offset: int,
        length: int,
        content: bytes | None = None,
        latin1: bool = False,
    ):
        self.file, self.offset, self.length = file, offset, length
        self.content, self.latin1 = content, latin1
        self._nbytes = None if latin1 else length

    @property
    def nbytes(self) -> int:
        """How many bytes there are to read; -1 where the text holds a character that is no byte."""
        if self._nbytes is None:
            self._nbytes = self._count_latin1()
        return self._nbytes

    def read_into(self, start: int, buffer: memoryview) -> None:
        """Fills `buffer` with the bytes from `start`."""
        if self.content is not None:
            buffer[:] = self.content[start : start + len(buffer)]
        elif self.latin1:
            text = self.file.read(self.offset, self.length).decode("utf-8")
            buffer[:] = text.encode("latin-1")[start : start + len(buffer)]
        else:
            self.file.read_into(self.offset + start, buffer)

    def _count_latin1(self) -> int:
        count, decoder = 0, codecs.getincrementaldecoder("utf-8")()
        try:
            for start in range(0, self.length, BLOCK):
                content = self.file.read(self.offset + start, min(BLOCK, self.length - start))
                text = decoder.decode(content, final=start + BLOCK >= self.length)
                count += len(text.encode("latin-1"))
        except UnicodeError:
            return -1
        return count


def printable(text: object, limit: int = 80) -> str:
    """Returns `text` fit for one line of a terminal: no control characters, at most `limit` characters."""
    text = str(text)
    if len(text) > limit:
        text = f"{text[: limit - 20]}...{text[-17:]}"
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def listed(names: Sequence[object], limit: int = 5) -> str:
    """Returns the first names, separated by commas, and how many more there are."""
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(printable(name) for name in names[:limit]) + more


def _identity(state: os.stat_result) -> tuple[int, ...]:
    return state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
