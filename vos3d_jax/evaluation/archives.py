"""Results as the zip file that a benchmark's server takes, unpacked into a temporary folder after its check.

Layouts: DAVIS-2017's server wants the folders of the sequences "directly inside the zip without any
subfolder" (the message of its program, github.com/codalab/codalab-competitions issue 2709); YouTube-VOS'
wants them in one folder, `Annotations` (as XMem packs them, github.com/hkchengrex/XMem, `eval.py`).
"""

import contextlib
import shutil
import stat
import tempfile
import zipfile
import zlib
from collections.abc import Collection, Iterator
from pathlib import Path, PurePosixPath

from vos3d_jax.errors import UserError

_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_MOST_FILES = 1_000_000
_LARGEST = 256 << 20  # bytes of one mask: far more than any PNG of ids needs
_SMALL, _LARGEST_RATIO = 1 << 20, 100  # larger files are no masks if they shrink more
# What zipfile raises of damage; IndexError of an empty name.
_BROKEN = (
    *(zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError, ValueError),
    IndexError,
)


@contextlib.contextmanager
def opened(results: str | Path, folders: Collection[str], root: str | None, title: str) -> Iterator[Path]:
    """Returns the folder of results: `results` itself, or what a zip file holds, which is gone afterwards.

    Messages of errors inside the context name the zip file, not the temporary folder.

    Args:
        results: a folder, or a zip file with the masks `<folder>/<frame>.png`.
        folders: the folders that masks may be in: "bear", of SA-V "sav_000001/000".
        root: the folder of the zip file that holds them; "": none; None: either none or any one.
        title: of the benchmark, for messages.

    Raises:
        UserError: the zip file is damaged or unsafe to unpack, has another layout, or holds something else.
    """
    results = Path(results)
    if results.is_dir() or not results.exists():
        yield results
        return
    if not results.is_file():  # a pipe would be waited for
        raise UserError(f"{results} is neither a folder nor a file: give the masks' folder, or a zip file")
    with tempfile.TemporaryDirectory(prefix="vos3d-results-") as temporary:
        folder = Path(temporary)
        try:
            with zipfile.ZipFile(results) as archive:
                members = _checked(archive, results)
                for member, name in _placed(members, results, folders, root, title).items():
                    target = folder / name
                    target.parent.mkdir(parents=True, exist_ok=True)
                    with archive.open(member) as source, target.open("wb") as copy:
                        shutil.copyfileobj(source, copy)
        except _BROKEN as error:
            raise UserError(f"{results} cannot be read as a zip file ({error}): make it again") from None
        try:
            yield folder
        except UserError as error:
            raise UserError(str(error).replace(str(folder), str(results))) from None


def _checked(archive: zipfile.ZipFile, path: Path) -> list[zipfile.ZipInfo]:
    """The files of an archive, none of which is unsafe to unpack, by the archive's own table."""
    members = [member for member in archive.infolist() if not member.is_dir()]
    if len(members) > _MOST_FILES:
        raise UserError(
            f"{path} holds {len(members)} files, more than {_MOST_FILES}: give the unpacked folder"
        )
    seen: set[str] = set()
    for member in members:
        name, inside = member.filename, PurePosixPath(member.filename)
        place = str(inside).casefold()  # a/b.png is a//b.png and, on some disks, A/b.png
        if inside.is_absolute() or ".." in inside.parts or "\\" in name or ":" in name.partition("/")[0]:
            fault = "leads outside the folder that it is unpacked into"
        elif stat.S_ISLNK(member.external_attr >> 16):
            fault = "is a symbolic link"
        elif place in seen:
            fault = "is there twice"
        elif member.flag_bits & 1:
            fault = "is encrypted"
        elif member.compress_type not in _METHODS:
            fault = f"is packed by method {member.compress_type}, not deflated"
        elif member.file_size > _LARGEST or (
            member.file_size > max(_SMALL, _LARGEST_RATIO * member.compress_size)
        ):
            fault = f"unpacks from {member.compress_size} to {member.file_size} bytes, which is no mask"
        else:
            seen.add(place)
            continue
        raise UserError(f"{path}: {name!r} {fault}: pack the masks again, `cd RESULTS && zip -r masks.zip .`")
    total = sum(member.file_size for member in members)
    free = shutil.disk_usage(tempfile.gettempdir()).free
    if total > free:
        raise UserError(
            f"{path} unpacks to {total / 1e9:.1f} GB but {tempfile.gettempdir()} has {free / 1e9:.1f} GB "
            "free: set TMPDIR to a larger disk, or unpack it yourself"
        )
    return members


def _placed(
    members: list[zipfile.ZipInfo], path: Path, folders: Collection[str], root: str | None, title: str
) -> dict[zipfile.ZipInfo, str]:
    """Each file's name below the folder of results."""
    if not members:
        raise UserError(f"{path} is empty: pack the masks, <sequence>/<frame>.png")
    known = frozenset(folders)
    tops = {member.filename.partition("/")[0] for member in members}
    above = ""  # the folder that holds those of the sequences
    if not any(str(PurePosixPath(member.filename).parent) in known for member in members) and len(tops) == 1:
        above = tops.pop()
    if root is not None and above != root:
        wanted = f"the folder {root!r} above those of the sequences" if root else "no folder above them"
        mend = f"zip -r masks.zip {root}" if root else f"cd {above} && zip -r ../masks.zip ."
        raise UserError(
            f"{path} has the layout {members[0].filename!r}, but the server of {title} wants {wanted}: "
            f"pack them again, `{mend}`"
        )
    placed = {}
    for member in members:
        name = member.filename.removeprefix(f"{above}/") if above else member.filename
        inside = PurePosixPath(name)
        if inside.suffix.lower() != ".png" or str(inside.parent) not in known:
            raise UserError(
                f"{path}: {member.filename!r} is no mask of a sequence of {title} (as "
                f"{min(known, default='bear')}/00000.png), which its server may refuse: pack the folders of "
                "the sequences alone, `zip -r masks.zip . -x '.*' '*/.*' '__MACOSX/*'`, or unpack them"
            )
        placed[member] = name
    return placed
