"""What a network will need in memory for clips of a size, and what the process may still take.

Both are known before anything is compiled, so that a video that is too large is refused in one line, where
XLA, the C library or the system would end the process.
"""

import os
import resource
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import jax
import numpy as np
from jax.extend import core

from vos3d_jax.errors import UserError
from vos3d_jax.inference.sizes import Fit

# XLA's order of operations is another one, and its buffers cannot all be reused. Measured: docs/inference.md.
_MARGIN = 1.25
_COMPILER = 500 << 20  # bytes of the compiler, and of the program that it makes
_RESERVED = 1 << 30  # bytes of addresses that the compiler's threads set aside and do not use
_EDGES = (1080, 720, 480, 360, 240, 128, 64)  # what is proposed for frames that are too large


def require(run: Callable, clip_shape: tuple[int, ...], fit: Fit, free: int | None) -> None:
    """Sees that there is memory to compile `run` and to compute clips of `clip_shape` [1, t, h, w, 3] by it.

    Args:
        run: what `models.prepare` returns: its weights are in memory already.
        clip_shape: of its argument.
        fit: how the frames came to that size; the mend is a smaller one.
        free: what `available` says; None, the unknown, is enough.

    Raises:
        UserError: there is less than is needed; it names a size that fits.
    """
    if free is None:
        return
    maps = activations(run, clip_shape)
    need = round(_COMPILER + _MARGIN * maps)
    if need <= free:
        return
    _, time, height, width, _ = clip_shape
    raise UserError(
        f"clips of {time} frames of {width}x{height} need about {_written(need)} of memory, and "
        f"{_written(free)} are free: {_mend(maps / (height * width), fit, free)}"
    )


@contextmanager
def exhaustion_told(shape: str) -> Iterator[None]:
    """Turns running out of memory, where no estimate foresaw it (on an accelerator), into a `UserError`."""
    try:
        yield
    except (MemoryError, jax.errors.JaxRuntimeError) as error:
        if isinstance(error, jax.errors.JaxRuntimeError) and "RESOURCE_EXHAUSTED" not in str(error):
            raise
        raise UserError(
            f"the memory is not enough for clips of {shape}: give a smaller --short_edge (in Python "
            "short_edge=)"
        ) from error


def activations(run: Callable, clip_shape: tuple[int, ...]) -> int:
    """Returns the bytes of all maps that live at once while `run` computes a uint8 clip, without weights.

    `run` is traced, not compiled. Its program is walked in order: a map lives from the operation that makes
    it to the last one that reads it.
    """
    return _peak(jax.make_jaxpr(run)(jax.ShapeDtypeStruct(clip_shape, np.uint8)).jaxpr)


def available() -> int | None:
    """Returns the bytes that the process may still take; None where the system does not say it.

    The least of: the machine's free memory (Linux: `MemAvailable`), what its control groups leave
    (containers, batch systems), and its limits of address space and of data (`ulimit -v`, `ulimit -d`)
    without 1 GiB that XLA's threads set aside.
    """
    return min((max(0, free) for free in (*_of_machine(), *_of_groups(), *_of_limits())), default=None)


def _peak(program: core.Jaxpr) -> int:
    last = {variable: index for index, step in enumerate(program.eqns) for variable in _made(step.invars)}
    last.update(dict.fromkeys(_made(program.outvars), len(program.eqns)))
    inputs = {*program.invars, *program.constvars}
    held = most = 0
    for index, step in enumerate(program.eqns):
        inside = [_peak(inner) for inner in core.jaxprs_in_params(step.params)]
        most = max(most, held + max([_bytes(step.outvars), *inside]))
        held += _bytes(one for one in step.outvars if last.get(one, -1) > index)
        held -= _bytes(one for one in set(_made(step.invars)) - inputs if last[one] == index)
    return most


def _made(atoms: list) -> list[core.Var]:
    return [atom for atom in atoms if not isinstance(atom, core.Literal)]


def _bytes(variables: Iterable[core.Var]) -> int:
    return sum(one.aval.size * one.aval.dtype.itemsize for one in variables)


def _mend(maps: float, fit: Fit, free: int) -> str:
    """`maps` is bytes a pixel of the network's frames."""
    for edge in _EDGES:
        smaller = Fit(fit.original, edge)
        height, width = smaller.network
        need = round(_COMPILER + _MARGIN * maps * height * width)
        if height * width < fit.network[0] * fit.network[1] and need <= free:
            return f"give --short_edge={edge} (in Python short_edge={edge}), which needs {_written(need)}"
    return "end other programs, or use a machine with more"


def _written(count: int) -> str:
    return f"{count / 1e9:.1f} GB"


def _of_machine() -> Iterator[int]:
    if free := _fields("/proc/meminfo").get("MemAvailable"):
        yield free * 1024
    elif "SC_PHYS_PAGES" in os.sysconf_names:  # not Linux: all of it, for want of better
        yield os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _of_groups(root: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")) -> Iterator[int]:
    """Version 1 has a hierarchy of its own for memory, version 2 one for all; a limit holds for all below."""
    for line in _text(own).splitlines():
        _, controllers, group = line.split(":", 2)
        if "memory" in controllers.split(","):
            base, limit, used = root / "memory", "memory.limit_in_bytes", "memory.usage_in_bytes"
        elif not controllers:
            base, limit, used = root, "memory.max", "memory.current"
        else:
            continue
        folder = base / group.strip("/")
        for place in (folder, *folder.parents):
            most, now = _text(place / limit).strip(), _text(place / used).strip()
            if most.isdigit() and now.isdigit():
                cache = _fields(place / "memory.stat").get("inactive_file", 0)  # given back on demand
                yield int(most) - int(now) + cache
            if place == base:
                break


def _of_limits() -> Iterator[int]:
    used = _fields("/proc/self/status")
    for limit, field in ((resource.RLIMIT_AS, "VmSize"), (resource.RLIMIT_DATA, "VmData")):
        most, _ = resource.getrlimit(limit)
        if most != resource.RLIM_INFINITY and field in used:
            yield most - used[field] * 1024 - _RESERVED


def _fields(path: str | Path) -> dict[str, int]:
    """The numbers of a file of lines "name: number unit" or "name number"."""
    words = (line.replace(":", " ").split() for line in _text(path).splitlines())
    return {line[0]: int(line[1]) for line in words if len(line) > 1 and line[1].isdigit()}


def _text(path: str | Path) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""
