"""Run as a script: opens and reads checkpoints in a process that notices code being run, and prints JSON.

`python guarded.py open FILE...` tells for each file the error, the seconds and the growth of memory;
`python guarded.py mutate FILE...` flips bytes and cuts the file at every structural boundary.
Torch cannot be imported here, and nothing else once the reader is; nothing may be executed or written.
"""

import io
import json
import os
import pickletools
import struct
import sys
import tempfile
import time
from pathlib import Path

FORBIDDEN = (
    "import", "exec", "compile", "os.system", "os.exec", "os.posix_spawn", "os.fork", "subprocess.",
    "socket.", "os.mkdir", "os.rename", "os.remove", "ctypes.", "pickle.find_class", "builtins.breakpoint",
)  # fmt: skip
MASKS = (0x01, 0x80, 0xFF)


def main(command: str, *files: str) -> None:
    sys.path.insert(0, str(Path(__file__).parents[2]))
    sys.modules["torch"] = None  # makes `import torch` fail
    from vos3d_jax.errors import UserError
    from vos3d_jax.porting import open_checkpoint

    # The first open of both kinds brings in whatever the standard library loads on first use.
    for file in files[:1]:
        _attempt(open_checkpoint, UserError, file)
    events: list[str] = []
    watching = [command == "open"]  # else only while a file is read: this script writes them
    sys.addaudithook(lambda event, args: events.append(_event(event, args)) if watching[0] else None)
    before = _memory()
    if command == "open":
        results = {}
        for file in files:
            start = time.perf_counter()
            error = _attempt(open_checkpoint, UserError, file)
            results[file] = {"error": error, "seconds": time.perf_counter() - start}
    else:
        results = {"attempts": 0, "refused": 0}
        with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").exists() else None) as folder:
            target = Path(folder) / "file"
            for content in _mutations(files):
                watching[0] = False
                target.write_bytes(content)
                watching[0] = True
                results["attempts"] += 1
                results["refused"] += _attempt(open_checkpoint, UserError, target) is not None
            watching[0] = False
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


def _mutations(files):
    for file in files:
        content = Path(file).read_bytes()
        if content.startswith(b"PK"):
            content = _without_checksums(content)  # else every flip in the pickle ends at its checksum
        for at in _boundaries(content):
            yield content[:at]
            for mask in MASKS:
                yield content[:at] + bytes([content[at] ^ mask]) + content[at + 1 :]


def _without_checksums(content: bytes) -> bytes:
    content, at = bytearray(content), 0
    while (at := content.find(b"PK\x01\x02", at)) >= 0:
        content[at + 16 : at + 20] = bytes(4)
        at += 4
    return bytes(content)


def _boundaries(content: bytes) -> list[int]:
    """Where an instruction, a header field or a token of JSON begins."""
    if content.startswith(b"PK"):
        directory = content.find(b"PK\x01\x02")
        places = set(range(directory, len(content)))
        at = -1
        while (at := content.find(b"PK\x03\x04", at + 1)) >= 0:
            name, extra = struct.unpack_from("<HH", content, at + 26)
            places |= set(range(at, at + 30 + name))
            if content[at + 30 : at + 30 + name].endswith(b"data.pkl"):
                places |= _instructions(content, at + 30 + name + extra)
    elif content.startswith(b"\x80"):
        places, at = set(), 0
        while content[at : at + 1] == b"\x80":
            found = _instructions(content, at)
            places |= found
            at = max(found) + 1
        places |= set(range(at, len(content), 4))
    else:
        (length,) = struct.unpack_from("<Q", content)
        places = {*range(8), *(at for at in range(8, 8 + length) if content[at] in b'{}[]:,"')}
    return sorted(place for place in places if place < len(content))


def _instructions(content: bytes, start: int) -> set[int]:
    """The positions of a pickle's instructions and of the bytes after each, which hold their lengths."""
    positions = [start + at for _, _, at in pickletools.genops(io.BytesIO(content[start:]))]
    return {place for at in positions for place in (at, at + 1)} - {positions[-1] + 1}


if __name__ == "__main__":
    main(*sys.argv[1:])
