"""Process settings that make this stack faster on a CPU; results do not depend on them.

They must be made before jax is imported and before large arrays are allocated, and they never
override what the user has set. Evidence: docs/performance.md.
"""

import ctypes
import hashlib
import os
import platform
import sys
from importlib import metadata
from pathlib import Path

_M_TRIM_THRESHOLD, _M_MMAP_MAX, _M_ARENA_MAX = -1, -4, -8


def tune(*, jax: bool = True) -> None:
    """Sets XLA flags, the compilation cache and the C allocator; `VOS3D_TUNE=0` leaves them alone.

    Where jax will not be imported, the allocator alone, which takes no time.
    """
    if os.environ.get("VOS3D_TUNE") == "0":
        return
    if jax and "jax" not in sys.modules:
        _set_xla_flags()
        prepare_compiler()
    _set_allocator({_M_MMAP_MAX: 0, _M_TRIM_THRESHOLD: 2**31 - 1})


def bound_memory() -> None:
    """Makes all threads share one heap, for commands that run for hours in bounded memory.

    With a heap for each thread the process keeps growing for thousands of clips although nothing is kept:
    every thread leaves holes of its own. Figures: docs/inference.md. Call it before threads start.
    """
    if os.environ.get("VOS3D_TUNE") != "0":
        _set_allocator({_M_ARENA_MAX: 1})


def release_memory() -> None:
    """Gives freed pages back to the system: a compilation leaves many, and no step needs them again."""
    # As `tune` makes the allocator keep them; without glibc there is nothing to ask.
    if os.environ.get("VOS3D_TUNE") != "0" and (libc := _libc()) is not None:
        libc.malloc_trim(0)


def _set_xla_flags() -> None:
    # Eigen's matrix product instead of YNNPACK's: an unknown flag aborts the process, so it is only
    # given to the versions on which it was tried.
    version = tuple(int(part) for part in metadata.version("jaxlib").split(".")[:2])
    flags = os.environ.get("XLA_FLAGS", "")
    if version in ((0, 10), (0, 12)) and "xla_cpu_experimental_ynn_fusion_type" not in flags:
        os.environ["XLA_FLAGS"] = f"{flags} --xla_cpu_experimental_ynn_fusion_type=".strip()


def prepare_compiler() -> None:
    """Lets jax compile a program once for all runs, in the user's cache folder, and hides XLA's alarms.

    This much is done in Python too, when the public interface is first used; never against the user's will.
    """
    if os.environ.get("VOS3D_TUNE") == "0":
        return
    # After two minutes XLA prints a banner ("Very slow compile? ...") that asks for a bug report. Errors
    # that stop a program are exceptions, and those keep their texts.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
        _keep_compiled_programs()


def _keep_compiled_programs() -> None:
    # Machine code of another jaxlib or CPU may not run here, so each pair has a folder of its own.
    try:
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    except RuntimeError:
        return  # neither HOME nor an entry in /etc/passwd, as in many containers: no cache then
    cpu = hashlib.sha256(_cpu().encode()).hexdigest()[:8]
    folder = cache / "vos3d_jax" / f"jaxlib-{metadata.version('jaxlib')}-{cpu}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return  # a read-only home is no reason to fail: programs are compiled anew each time
    os.environ["JAX_COMPILATION_CACHE_DIR"] = str(folder)
    if "jax" in sys.modules:  # too late for the environment
        import jax
        from jax.experimental.compilation_cache import compilation_cache

        if jax.config.jax_compilation_cache_dir is None:
            jax.config.update("jax_compilation_cache_dir", str(folder))
            compilation_cache.reset_cache()  # else a process that has compiled goes on without


def _cpu() -> str:
    """What the CPU can do, as far as the system says."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    return platform.machine() + "".join(sorted({x for x in lines if x.startswith(("flags", "model name"))}))


def _set_allocator(settings: dict[int, int]) -> None:
    # Freed pages are kept because XLA:CPU allocates its temporaries anew in every call, which would cost page
    # faults each time.
    if "GLIBC_TUNABLES" in os.environ or any(name.startswith("MALLOC_") for name in os.environ):
        return
    if (libc := _libc()) is not None:
        for parameter, value in settings.items():
            libc.mallopt(parameter, value)


def _libc() -> ctypes.CDLL | None:
    """glibc, where there is one."""
    try:
        libc = ctypes.CDLL("libc.so.6") if sys.platform.startswith("linux") else None
    except OSError:
        return None
    return libc if hasattr(libc, "mallopt") else None
