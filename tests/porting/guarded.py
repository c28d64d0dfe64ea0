"""Run as a script: opens and reads checkpoints in a process that notices code being run, and prints JSON.

`python guarded.py FILE...` tells for each file the error and the seconds, and of all the growth of memory.
Torch cannot be imported here, and nothing else once the reader is; nothing may be executed or written.
"""

import json
import os
import sys
import time
from pathlib import Path

FORBIDDEN = (
    "import", "exec", "compile", "os.system", "os.exec", "os.posix_spawn", "os.fork", "subprocess.",
    "socket.", "os.mkdir", "os.rename", "os.remove", "ctypes.", "pickle.find_class", "builtins.breakpoint",
)  # fmt: skip


def main(*files: str) -> None:
    sys.path.insert(0, str(Path(__file__).parents[2]))
    sys.modules["torch"] = None  # makes `import torch` fail
    from vos3d_jax.errors import UserError
    from vos3d_jax.porting import open_checkpoint

    # The first open of both kinds brings in whatever the standard library loads on first use.
    for file in files[:1]:
        _attempt(open_checkpoint, UserError, file)
    events: list[str] = []
    watching = [True]
    sys.addaudithook(lambda event, args: events.append(_event(event, args)) if watching[0] else None)
    before, results = _memory(), {}
    for file in files:
        start = time.perf_counter()
        error = _attempt(open_checkpoint, UserError, file)
        results[file] = {"error": error, "seconds": time.perf_counter() - start}
    watching[0] = False
    forbidden = sorted(
        {event for event in events if event.startswith(FORBIDDEN) or event == "open for writing"}
    )
    print(json.dumps({"results": results, "forbidden": forbidden, "growth": _memory() - before}))


def _attempt(open_checkpoint, user_error, file) -> str | None:
    try:
        for tensor in open_checkpoint(file).values():
            if tensor.nbytes < 1 << 30:
                tensor.numpy()
    except user_error as error:
        return str(error)
    return None


def _event(event: str, args: tuple) -> str:
    if event == "open" and isinstance(args[2], int) and args[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
        return "open for writing"
    return event


def _memory() -> int:
    """The most memory that this process ever held. (`ru_maxrss` would count what its parent held.)"""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


if __name__ == "__main__":
    main(*sys.argv[1:])
