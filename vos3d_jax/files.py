"""Folders and files of results: whole or not at all, one command at a time, and one word for what fails."""

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from vos3d_jax.errors import UserError

try:
    import fcntl
except ImportError:  # not a Unix: nothing is locked
    fcntl = None

# What to do about a place that cannot be written to; for anything else, another one.
_MENDS = {
    **dict.fromkeys((errno.EACCES, errno.EPERM, errno.EROFS), "give a folder that you may write to"),
    errno.ENOENT: "make its folder first",
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT), "free some space, or give a folder on another disk"),
    **dict.fromkeys(
        (errno.ENOTDIR, errno.EEXIST), "a file stands where a folder is needed, so give another folder"
    ),
}


def reason(error: BaseException) -> str:
    """Returns what an error of the system or a library says, in one line of at most 160 characters."""
    said = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(said.split())[:160]


def unwritable(path: str | Path, error: Exception) -> UserError:
    """Returns the error that `path` cannot be written, with the reason and the mend, for any such `error`."""
    why = reason(error)
    number = errno.ENOSPC if "No space left" in why else getattr(error, "errno", None)
    return UserError(f"{path} cannot be written ({why}): {_MENDS.get(number, 'give another folder')}")


@contextlib.contextmanager
def writing(path: str | Path) -> Iterator[None]:
    """While it is entered, an OSError becomes the UserError that `path` cannot be written."""
    try:
        yield
    except OSError as error:
        raise unwritable(path, error) from error


@contextlib.contextmanager
def replacing(path: str | Path, *, durable: bool = False) -> Iterator[BinaryIO]:
    """Gives a file under a temporary name beside `path`, which gets its name when the block is left well.

    Args:
        path: in a folder that exists.
        durable: whether it must be on the disk by then, which takes its time.

    Raises:
        UserError: it cannot be written.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.partial")
    with writing(path):
        try:
            with open(temporary, "wb") as file:
                yield file
                if durable:
                    file.flush()
                    os.fsync(file.fileno())
            os.replace(temporary, path)
        except BaseException:
            with contextlib.suppress(OSError):  # its folder may be none
                temporary.unlink()
            raise


def write(path: str | Path, data: bytes) -> None:
    """Writes a file whole or not at all, and makes its folder; UserError when that fails."""
    with writing(path):
        Path(path).parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as file:
        file.write(data)


def make_folder(folder: Path) -> None:
    """Makes `folder` and its parents and tries to write there; UserError when that fails."""
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / ".writable"
        probe.touch()
        probe.unlink()


@contextlib.contextmanager
def exclusive(folder: str | Path) -> Iterator[None]:
    """Makes `folder` and keeps it for this process until it is left, or the process ends in whatever way.

    Two commands that write to one folder would mix their results. The lock is the system's, on the folder
    itself: no file is left, and none can be stale. A folder that was made here and is still empty in the end
    is removed.

    Raises:
        UserError: another process has the folder, or it cannot be made.
    """
    folder = Path(folder)
    ours = not folder.exists()
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        if fcntl is not None:
            handle = os.open(folder, os.O_RDONLY)
            stack.callback(os.close, handle)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise UserError(
                    f"another command is writing to {folder}: wait until it has ended, or name another folder"
                ) from None
            except OSError:  # a file system without locks
                pass
        try:
            yield
        finally:
            if ours:
                with contextlib.suppress(OSError):
                    folder.rmdir()
