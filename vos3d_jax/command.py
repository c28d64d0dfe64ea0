"""What every command shares: settings made before jax is imported, and errors turned into one line."""

import contextlib
import logging
import os
import sys
from collections.abc import Callable, Iterator

from vos3d_jax import runtime
from vos3d_jax.errors import UserError

SUCCESS, DEFECT, USER_MISTAKE, INTERRUPTED = 0, 1, 2, 130


def run(
    name: str,
    function: Callable[[list[str]], None],
    arguments: list[str] | None = None,
    *,
    jax: bool = True,
) -> int:
    """Returns the exit status of `function(arguments)`: 0, 2 after a `UserError`, 130 after Ctrl-C.

    Any other exception is a defect of ours and keeps its traceback (status 1). `jax`: the command uses it.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a character that the terminal lacks fails no finished job
            stream.reconfigure(errors="replace")
    runtime.tune(jax=jax)
    try:
        with _warnings_as_lines():
            function(sys.argv[1:] if arguments is None else arguments)
    except UserError as error:
        print(f"{name}: error: {' '.join(str(error).split())}", file=sys.stderr)
        return USER_MISTAKE
    except KeyboardInterrupt:
        print(f"{name}: interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return SUCCESS
    return SUCCESS


@contextlib.contextmanager
def _warnings_as_lines() -> Iterator[None]:
    """Shows warnings of ours as lines on stderr, each once: a run reads the same folder for several parts."""
    ours, handler, told = logging.getLogger("vos3d_jax"), logging.StreamHandler(), set()

    def is_new(record: logging.LogRecord) -> bool:
        line = record.getMessage()
        return line not in told and not told.add(line)

    handler.addFilter(is_new)
    handler.setLevel(logging.WARNING)
    ours.addHandler(handler)
    # Libraries give the root a handler whose lines begin with names of modules.
    ours.propagate = False
    try:
        yield
    finally:
        ours.removeHandler(handler)
        ours.propagate = True
