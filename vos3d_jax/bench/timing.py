"""Timing several functions in turn, and what the machine can do at best."""

import contextlib
import os
import platform
import time
from collections.abc import Callable, Collection
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

try:
    import torch
except ImportError:
    torch = None

_PEAK_SIDE = 2048
_MUCH_SLOWER = 8


def start(threads: int) -> None:
    """Gives PyTorch the same threads and takes jax's cache of compiled programs away: compiling is timed."""
    jax.config.update("jax_enable_compilation_cache", False)
    if torch is not None:
        torch.set_num_threads(threads)


def machine() -> dict[str, object]:
    """Returns what was measured on: device, versions, threads, settings, matmul peak in GFLOP/s (float32)."""
    device = jax.devices()[0]
    return {
        "date": time.strftime("%Y-%m-%d"),
        "device": device.device_kind if device.platform != "cpu" else processor(),
        "backend": device.platform,
        "threads": len(os.sched_getaffinity(0)),
        "jax": jax.__version__,
        "torch": torch.__version__ if torch is not None else None,
        "XLA_FLAGS": os.environ.get("XLA_FLAGS", ""),
        "VOS3D_TUNE": os.environ.get("VOS3D_TUNE", "1"),
        "load": os.getloadavg()[0],
        "matmul_peak": matmul_peak(),
    }


def matmul_peak() -> float:
    """Returns GFLOP/s of the best run of a 2048x2048 float32 product, by jax or PyTorch."""
    values = np.random.default_rng(0).standard_normal((_PEAK_SIDE, _PEAK_SIDE), np.float32)
    matrix = jnp.asarray(values)
    product = jax.jit(lambda a: jnp.dot(a, a))
    runs = {"jax": lambda: jax.block_until_ready(product(matrix))}
    if on_cpu_with_torch():
        other = torch.from_numpy(values)
        runs["torch"] = lambda: other @ other
    fastest = min(min(times) for times in alternate(runs, seconds=2.0).values())
    return 2 * _PEAK_SIDE**3 / fastest / 1e9


def on_cpu_with_torch() -> bool:
    """Returns whether PyTorch is here and jax computes on the CPU."""
    return torch is not None and jax.default_backend() == "cpu"


def alternate(
    functions: dict[str, Callable], seconds: float, least: int = 5, once: Collection[str] = ()
) -> dict[str, list[float]]:
    """Returns the seconds of each call: every function once a round, for about `seconds` or `least` rounds.

    The first round warms up and is not counted. What is 8 times as slow as the fastest runs only once more;
    what is named in `once` runs once altogether.
    """
    first = {name: _timed(function)[0] for name, function in functions.items() if name not in once}
    slow = {name for name, took in first.items() if took > _MUCH_SLOWER * min(first.values())}.union(once)
    times = {name: [] for name in functions}
    begin = time.perf_counter()
    rounds = 0
    while rounds < least or time.perf_counter() - begin < seconds:
        for name, function in functions.items():
            if rounds == 0 or name not in slow:
                times[name].append(_timed(function)[0])
        rounds += 1
    return times


def silent(text: str) -> None:
    """Says nothing: the default where a measurement tells what it does next."""


def first_call(function: Callable) -> tuple[float, float, object]:
    """Returns seconds of the first call, which compiles, MB by which memory grew at its peak, the output."""
    before = _resident("VmRSS")
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")  # forget the peak of what ran before
    took, output = _timed(function)
    return took, max(0.0, _resident("VmHWM") - before), output


def _timed(function):
    begin = time.perf_counter()
    output = function()
    return time.perf_counter() - begin, output


def _resident(field):
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return float("nan")
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith(field)), float("nan"))


def processor() -> str:
    """Returns what the processor calls itself."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor()
