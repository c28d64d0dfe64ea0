"""The archive that torch writes since 1.6: `data.pkl` and one raw record a storage, never compressed.

Read by our own eyes and not by `zipfile`: torch may write checksums of 0, which `zipfile` refuses, and one
view of the archive leaves no room for headers that disagree.
"""

import struct
from dataclasses import dataclass

from vos3d_jax.errors import UserError
from vos3d_jax.porting.readers.file_bytes import Chunk, FileBytes, listed, printable
from vos3d_jax.porting.readers.lazy import LazyTensor, Storage
from vos3d_jax.porting.readers.pickle_values import StorageReference, TensorReference
from vos3d_jax.porting.readers.torch_values import DTYPES, StorageIds, tensor
from vos3d_jax.porting.readers.unpickle import Machine

_END, _END64, _LOCATOR64 = b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07"
_LARGEST_DIRECTORY = 16 << 20
_MOST_MEMBERS = 100_000
_NONE32 = 0xFFFFFFFF
_LINK = 0o120000  # type of a symbolic link in the mode of a member
# Archives of torch that hold a program and its weights: a record that each of them has.
_PROGRAMS = {
    "constants.pkl": "TorchScript archive",
    "archive_format": ".pt2 archive of torch.export",
    ".data/extern_modules": "package of torch.package",
}


@dataclass(frozen=True, slots=True)
class _Member:
    header: int  # where its local header begins
    size: int
    crc: int
    plain: bool  # neither compressed nor encrypted


class TorchZip:
    """An open archive: `value` is the object in it, `tensor` reads what its tensors refer to.

    Raises:
        UserError: it is cut short, damaged, compressed, TorchScript, or asks for code to be run.
    """

    container = "torch zip"

    def __init__(self, file: FileBytes):
        self._file = file
        self._members, self._limit = _directory(file)
        self._root = self._find_root()
        self._swapped = self._byte_order() == b"big"
        self._storages: dict[str, Storage] = {}
        ids = StorageIds(items=5)
        start, size = self._payload(f"{self._root}/data.pkl", check=True)
        machine = Machine(file, start, start + size, ids)
        self.value = machine.run()
        if machine.position != start + size:
            raise file.problem(f"has bytes after the pickle in {self._root}/data.pkl: refused")
        self.placeholders = tuple(machine.placeholders)
        self.types = (TensorReference,)

    def tensor(self, value: TensorReference) -> LazyTensor | str:
        """Returns a tensor of the state dict, or what is wrong with it."""
        return tensor(value, self._storage)

    def _storage(self, stored: StorageReference) -> Storage | str:
        if stored.key in self._storages:
            return self._storages[stored.key]
        name = f"{self._root}/data/{stored.key}"
        member = self._members.get(name)
        if member is None:
            return f"its record data/{stored.key} is not in the archive"
        dtype = DTYPES[stored.kind]
        if stored.numel * dtype.itemsize != member.size:
            declared = stored.numel * dtype.itemsize
            return f"its record data/{stored.key} has {member.size} bytes, {declared} declared"
        start, size = self._payload(name)
        storage = Storage(stored.key, Chunk(self._file, start, size), dtype, self._swapped, member.crc)
        return self._storages.setdefault(stored.key, storage)

    def _find_root(self) -> str:
        names = list(self._members)
        tops = [name.removesuffix("/data.pkl") for name in names if name.endswith("/data.pkl")]
        tops = [top for top in tops if top and "/" not in top]
        inner = {name.partition("/")[2] for name in names}
        program = next((what for record, what in _PROGRAMS.items() if record in inner), None)
        if program is None and any(name.startswith("code/") for name in inner):
            program = _PROGRAMS["constants.pkl"]
        if program:
            raise self._file.problem(f"is a {program}, not a state dict: save model.state_dict() instead")
        if len(tops) != 1:
            raise self._file.problem(
                f"is a zip archive, but not one of torch ({len(tops)} records data.pkl): it holds "
                f"{listed(names)}; unpack it and give the file of weights"
            )
        if (record := next((name for name in names if not self._members[name].plain), None)) is not None:
            raise self._file.problem(
                f"has a compressed record {printable(record)}, which torch never writes: refused"
            )
        for name in names:
            key = name.removeprefix(f"{tops[0]}/data/")
            if key != name and not (key.isascii() and key.isdigit()):
                raise self._file.problem(
                    f"has a record {printable(name)}, whose storage key is no number: refused"
                )
        return tops[0]

    def _byte_order(self) -> bytes:
        name = f"{self._root}/byteorder"
        if name not in self._members:
            return b"little"  # before torch 2.1
        start, size = self._payload(name, check=True)
        order = self._file.read(start, min(size, 16))
        if order not in (b"little", b"big"):
            raise self._file.problem(f"has the byte order {printable(order)}: little or big expected")
        return order

    def _payload(self, name: str, check: bool = False) -> tuple[int, int]:
        """Where a member's bytes begin and how many there are; their checksum is looked at on demand."""
        member = self._members[name]
        encoded = name.encode()
        length = 30 + len(encoded)
        header = self._file.read(member.header, length) if member.header + length <= self._limit else b""
        if header[:4] != b"PK\x03\x04":
            raise self._file.problem(f"is damaged: record {printable(name)} is not where the archive says")
        flags, method, name_length, extra_length = struct.unpack_from("<2x2H16x2H", header, 4)
        start = member.header + 30 + name_length + extra_length
        if start + member.size > self._limit:
            raise self._file.problem(f"is damaged: record {printable(name)} reaches outside the archive")
        if name_length != len(encoded) or header[30:] != encoded or method or flags & 1:
            raise self._file.problem(f"is damaged: the two headers of record {printable(name)} disagree")
        if check and member.crc and self._file.crc32(start, member.size) != member.crc:
            raise self._file.problem(
                f"is damaged: the checksum of {printable(name)} is wrong; fetch the file again"
            )
        return start, member.size


def _directory(file: FileBytes) -> tuple[dict[str, _Member], int]:
    """The members by name, and where the directory, hence the last member's room, begins."""
    tail_start = max(0, file.size - 22 - 0xFFFF)
    tail = file.read(tail_start, file.size - tail_start)
    at = tail.rfind(_END)
    while at >= 0 and (
        at + 22 > len(tail) or at + 22 + struct.unpack_from("<H", tail, at + 20)[0] != len(tail)
    ):
        at = tail.rfind(_END, 0, at)
    if at < 0:
        raise file.problem(
            f"is cut short (truncated): central directory missing, {file.size} bytes; an incomplete "
            "download, fetch it again"
        )
    end = tail_start + at
    count, size, start = struct.unpack_from("<HII", tail, at + 10)
    if end >= 20 and file.read(end - 20, 4) == _LOCATOR64:
        (record,) = struct.unpack("<Q", file.read(end - 12, 8))
        if record + 56 > end - 20 or file.read(record, 4) != _END64:
            raise file.problem("is damaged: its end record is not where the archive says")
        count, size, start = struct.unpack("<3Q", file.read(record + 32, 24))
        end = record
    if start + size != end or size > _LARGEST_DIRECTORY or count > _MOST_MEMBERS:
        raise file.problem("is damaged: its central directory is not where the archive says")
    members = _members(file.read(start, size), count, file)
    if sum(member.size for member in members.values() if member.plain) > start:
        raise file.problem("is damaged: its records claim more bytes than there are")
    return members, start


def _members(directory: bytes, count: int, file: FileBytes) -> dict[str, _Member]:
    members, at = {}, 0
    damaged = file.problem("is damaged: its central directory is malformed")
    for _ in range(count):
        if directory[at : at + 4] != b"PK\x01\x02" or at + 46 > len(directory):
            raise damaged
        flags, method, crc, packed, size, name_length, extra_length, comment_length, mode, header = (
            struct.unpack_from("<2H4x3I3H6xHI", directory, at + 8)
        )
        name = directory[at + 46 : at + 46 + name_length]
        extra = directory[at + 46 + name_length : at + 46 + name_length + extra_length]
        at += 46 + name_length + extra_length + comment_length
        if at > len(directory):
            raise damaged
        size, packed, header = _wide(extra, [size, packed, header], damaged)
        try:
            name = name.decode("utf-8")
        except UnicodeDecodeError:
            raise damaged from None
        if name in members:
            raise file.problem(f"has the record {printable(name)} twice: refused")
        if mode & 0o170000 == _LINK:
            raise file.problem(f"has a symbolic link {printable(name)} in it: refused")
        if method == 0 and size != packed:
            raise damaged
        members[name] = _Member(header, size, crc, not method and not flags & 1)
    if at != len(directory):
        raise damaged
    return members


def _wide(extra: bytes, values: list[int], damaged: UserError) -> list[int]:
    """The values with those of the ZIP64 field in place of each 0xFFFFFFFF."""
    if _NONE32 not in values:
        return values
    at = 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<2H", extra, at)
        if kind == 1 and length >= 8 * values.count(_NONE32) and at + 4 + length <= len(extra):
            wide = iter(struct.unpack_from(f"<{length // 8}Q", extra, at + 4))
            return [next(wide) if value == _NONE32 else value for value in values]
        at += 4 + length
    raise damaged
