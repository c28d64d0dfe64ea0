"""Reads changed copies of valid files in a process of its own, and notes everything that must never happen.

A kind of file is a module with

- `samples(folder) -> list[Path]`: small valid files, made anew, one of each form that is read;
- `read(path)`: reads all that the commands would read of such a file; it may raise `UserError`, nothing else;
- `mutate(content, rng, others) -> bytes`, if it knows better changes than `mutations.change`.

The reader is a child process, because a decoder may abort. A fault is: an exception other than `UserError` (a
warning is one), a message of more than one line, a crash, more memory or processor time for a file than
allowed, and any attempt to run a program or to open a connection.
"""

import hashlib
import importlib
import json
import os
import random
import select
import signal
import subprocess
import sys
import tempfile
import traceback
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
if __name__ == "__main__":  # the child
    sys.path[:0] = [str(TESTS.parent), str(TESTS)]

from fuzz import mutations  # noqa: E402

MEMORY = 256 << 20  # bytes that reading one file may add
SECONDS = 20  # of processor time for one file
_STUCK = 300  # seconds of waiting after which a child is taken to wait for ever
_RESERVE = 4 << 30  # address space beyond what a child has after its imports: the machine stays alive
_FORBIDDEN = ("os.system", "os.exec", "os.posix_spawn", "os.fork", "subprocess.Popen", "socket.connect")


@dataclass
class Report:
    """What came of it: how many files had which outcome, the faults by their kind, the largest growth."""

    kind: str
    outcomes: Counter = field(default_factory=Counter)
    faults: dict[str, Path] = field(default_factory=dict)
    seconds: float = 0.0
    growth: int = 0

    @property
    def tried(self) -> int:
        """Files that were tried."""
        return sum(self.outcomes.values())

    def __str__(self) -> str:
        o = self.outcomes
        return (
            f"{self.kind}: {self.tried} files in {self.seconds:.0f} s of processor time: {o['read']} read, "
            f"{o['refused']} refused, {o['fault']} faults of {len(self.faults)} kinds; "
            f"at most {self.growth / 2**20:.0f} MiB for a file"
        )


def fuzz(
    kind: str,
    seconds: float,
    *,
    seed: int = 0,
    keep: str | Path,
    memory: int = MEMORY,
    limit: int = SECONDS,
    path: str | Path = TESTS,
    say: Callable[[str], None] = lambda line: None,
) -> Report:
    """Tries changed files for so many seconds of processor time.

    Args:
        kind: name of the module, importable from the folder `path`.
        seconds: how long; the changes of a seed are always the same, in the same order.
        seed: of the changes.
        keep: folder for the files that led to a fault, one of each kind of fault.
        memory: bytes that reading one file may add to the process.
        limit: seconds of processor time that one file may take.
        path: see `kind`.
        say: is told of each new kind of fault, and once a minute how far it got.
    """
    sys.path.insert(0, str(path))
    try:
        module = importlib.import_module(kind)
    finally:
        sys.path.remove(str(path))
    report, rng, told = Report(kind), random.Random(seed), 0.0
    change = getattr(module, "mutate", mutations.change)
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder, "samples")
        made.mkdir()
        samples = [(sample.suffix, sample.read_bytes()) for sample in module.samples(made)]
        contents = [content for _, content in samples]
        child, first = None, iter(samples)  # the samples themselves come first: they must be read
        try:
            while report.seconds < seconds:
                suffix, content = next(first, (None, None))
                whole = suffix is not None
                if not whole:
                    suffix, content = rng.choice(samples)
                    content = change(content, rng, contents)
                target = Path(folder, f"file{suffix}")
                target.write_bytes(content)
                child = child or _Child(kind, path, limit)
                outcome, detail, growth, spent = child.read(target)
                if whole and outcome == "refused":
                    outcome, detail = "fault", f"a valid file was refused: {detail}"
                if growth > memory:
                    outcome, detail = (
                        "fault",
                        f"memory: {growth >> 20} MiB for a file of {len(content)} bytes",
                    )
                report.outcomes[outcome] += 1
                report.seconds += spent
                report.growth = max(report.growth, growth)
                if outcome == "fault":
                    _note(report, detail, suffix, content, Path(keep), say)
                if child.ended:
                    child = None
                if report.seconds - told > 60:
                    told = report.seconds
                    say(str(report))
        finally:
            if child is not None:
                child.end()
    return report


def _note(
    report: Report, detail: str, suffix: str, content: bytes, keep: Path, say: Callable[[str], None]
) -> None:
    # Where it happened tells faults apart, not the numbers in its message.
    lines = [line for line in detail.splitlines() if line.strip()]
    places = [line for line in lines if line.lstrip().startswith("File ")]
    kind = (places[-1].strip() + ": " if places else "") + lines[-1].split(":")[0]
    if kind in report.faults:
        return
    keep.mkdir(parents=True, exist_ok=True)
    name = hashlib.sha256(content).hexdigest()[:12]
    report.faults[kind] = keep / f"{report.kind.rpartition('.')[2]}-{name}{suffix}"
    report.faults[kind].write_bytes(content)
    say(f"{report.faults[kind]}: {detail}")


class _Child:
    """A process that reads files, one after the other."""

    def __init__(self, kind: str, path: str | Path, limit: int):
        self._limit = limit
        self._process = subprocess.Popen(
            [sys.executable, __file__, kind, str(path), str(limit)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self.ended = False
        if self._answer() is None:
            raise RuntimeError(f"the reader of {kind} could not be started")

    def read(self, file: Path) -> tuple[str, str, int, float]:
        """Outcome, detail, growth of memory in bytes, and seconds of processor time."""
        self._process.stdin.write(f"{file}\n".encode())
        self._process.stdin.flush()
        answer = self._answer()
        if answer is not None:
            return answer["outcome"], answer["detail"], answer["growth"], answer["seconds"]
        self.end()
        code = -self._process.returncode
        reasons = {
            signal.SIGPROF: f"more than {self._limit} s of processor time",
            signal.SIGKILL: "waits for ever",
        }
        reason = reasons.get(code) or f"crash: {signal.Signals(code).name if code > 0 else code}"
        return "fault", reason, 0, float(self._limit if code == signal.SIGPROF else 1)

    def end(self) -> None:
        """Ends the process."""
        self.ended = True
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()

    def _wants_a_processor(self) -> bool:
        """Whether it waits for nothing but its turn, as on a machine that is busy with other things."""
        threads = Path(f"/proc/{self._process.pid}/task").glob("*/stat")
        return any(stat.read_text().rpartition(")")[2].split()[0] == "R" for stat in threads)

    def _answer(self) -> dict | None:
        while not select.select([self._process.stdout], [], [], _STUCK)[0]:
            if not self._wants_a_processor():
                self._process.kill()
                break
        line = self._process.stdout.readline()
        return json.loads(line) if line else None


def _serve(kind: str, path: str, limit: str) -> None:
    import resource

    # Libraries in C write where they like; answers have a way of their own.
    answers = os.fdopen(os.dup(1), "w")
    for stream in (1, 2):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream)
    sys.path.insert(0, path)
    read = importlib.import_module(kind).read
    from vos3d_jax.errors import UserError

    warnings.simplefilter("error")
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + _RESERVE, used + _RESERVE))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    forbidden: list[str] = []
    sys.addaudithook(lambda event, args: forbidden.append(event) if event.startswith(_FORBIDDEN) else None)
    print(json.dumps({"outcome": "ready"}), file=answers, flush=True)
    for line in sys.stdin:
        before, start = _begun(), _processor_seconds()
        signal.setitimer(signal.ITIMER_PROF, int(limit))
        outcome, detail = "read", ""
        try:
            read(Path(line.rstrip("\n")))
        except UserError as error:
            outcome, detail = "refused", str(error)
            if "\n" in detail.strip():
                outcome, detail = "fault", f"not one line: {detail!r}"
        except BaseException:
            outcome, detail = "fault", traceback.format_exc()
        signal.setitimer(signal.ITIMER_PROF, 0)
        if forbidden:
            outcome, detail = "fault", f"not allowed: {forbidden.pop()}"
            forbidden.clear()
        answer = {"outcome": outcome, "detail": detail, "growth": max(0, _most() - before)}
        answer["seconds"] = _processor_seconds() - start
        print(json.dumps(answer), file=answers, flush=True)


def _processor_seconds() -> float:
    return sum(os.times()[:2])


def _begun() -> int:
    """Bytes in use; from here on the most is counted anew."""
    Path("/proc/self/clear_refs").write_text("5")
    return _status("VmRSS")


def _most() -> int:
    return _status("VmHWM")


def _status(name: str) -> int:
    return int(Path("/proc/self/status").read_text().partition(f"{name}:")[2].split()[0]) * 1024


if __name__ == "__main__":
    _serve(*sys.argv[1:])
