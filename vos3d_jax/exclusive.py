"""One command at a time in a folder of results: two that write there would mix theirs."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from vos3d_jax.errors import UserError

try:
    import fcntl
except ImportError:  # not a Unix: nothing is locked
    fcntl = None


@contextlib.contextmanager
def exclusive(folder: str | Path) -> Iterator[None]:
    """Makes `folder` and keeps it for this process until it is left, or the process ends in whatever way.

    The lock is the system's, on the folder itself: no file is left, and none can be stale. A folder that was
    made here and is still empty in the end is removed.

    Raises:
        UserError: another process has the folder, or it cannot be made.
    """
    folder = Path(folder)
    ours = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"{folder} cannot be written ({error.strerror}): name a folder that can be written to"
        ) from None
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
