"""Says that a compilation goes on, and for how long: it may take minutes in which nothing else happens."""

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Iterator

_FIRST = 5.0  # seconds until the first line; each further one comes after twice the time


@contextlib.contextmanager
def compiling(what: str, say: Callable[[str], None]) -> Iterator[None]:
    """Says "compiling ..." at once, and the elapsed seconds after 5, 10, 20, 40, ... until the block ends.

    Args:
        what: what is compiled, and what for.
        say: is told each line; also from another thread.
    """
    say(f"compiling {what}")
    start, done = time.monotonic(), threading.Event()

    def tell() -> None:
        wait = _FIRST
        while not done.wait(wait - (time.monotonic() - start)):
            say(f"compiling, {time.monotonic() - start:.0f} s so far ({_kept()})")
            wait *= 2

    teller = threading.Thread(target=tell, name="compiling", daemon=True)
    teller.start()
    try:
        yield
    finally:
        done.set()
        teller.join()


def to_stderr(line: str) -> None:
    """Prints a line on stderr: how one who uses Python without a logger sees it."""
    print(line, file=sys.stderr, flush=True)


def _kept() -> str:
    import jax

    if jax.config.jax_compilation_cache_dir:
        return "longest the first time: it is kept for the next"
    return "not kept for the next time: JAX_COMPILATION_CACHE_DIR=DIR keeps it"
