"""What is looked at in a folder of checkpoints, which may come from a stranger, before a library opens it.

Orbax and TensorStore follow links and wait for pipes, and read a text whole whatever its size. Names inside
their files cannot lead out of the folder: TensorStore refuses them.
"""

import os
import stat
from pathlib import Path

from vos3d_jax.errors import UserError

_LARGEST_TEXT = 64 << 20  # bytes of a file that is no array; the largest network's have 4 MB
_ARRAYS = "d"  # folder of the files with array data


def refuse_strange(folder: Path) -> int:
    """Returns the bytes of all files below `folder`, which holds nothing but folders and regular files.

    The folder itself, which a person named, may be a symbolic link.

    Raises:
        UserError: a link, a pipe or a device is in it, or a text that is larger than any such text is.
    """
    size, level = 0, [os.fspath(folder)]
    while level:
        try:
            with os.scandir(level.pop()) as entries:
                states = [(entry, entry.stat(follow_symlinks=False)) for entry in entries]
        except FileNotFoundError:  # a training that runs removes its older steps
            continue
        except OSError as error:
            raise UserError(f"{folder} cannot be read: {error.strerror}") from None
        for entry, state in states:
            if stat.S_ISDIR(state.st_mode):
                level.append(entry.path)
            elif not stat.S_ISREG(state.st_mode):
                kind = "a symbolic link" if stat.S_ISLNK(state.st_mode) else "no regular file"
                raise UserError(
                    f"{entry.path!r} is {kind}: what it leads to is not opened; put the file "
                    "itself into the folder"
                )
            elif state.st_size > _LARGEST_TEXT and os.path.basename(os.path.dirname(entry.path)) != _ARRAYS:
                raise UserError(
                    f"{entry.path!r} has {state.st_size:,} bytes: no file of that name needs them"
                )
            else:
                size += state.st_size
    return size
