"""Process settings that make this stack faster on a CPU; results do not depend on them.

They must be made before jax is imported and before large arrays are allocated, and they never
override what the user has set. Evidence: docs/performance.md.
"""

import ctypes
import os
import sys
from importlib import metadata

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4


def tune() -> None:
    """Sets XLA flags and the C allocator for this process; `VOS3D_TUNE=0` leaves both alone."""
    if os.environ.get("VOS3D_TUNE") == "0":
        return
    if "jax" not in sys.modules:
        _set_xla_flags()
    _keep_freed_pages()


def _set_xla_flags() -> None:
    # Eigen's matrix product instead of YNNPACK's: an unknown flag aborts the process, so it is only
    # given to the versions on which it was tried.
    version = tuple(int(part) for part in metadata.version("jaxlib").split(".")[:2])
    flags = os.environ.get("XLA_FLAGS", "")
    if version in ((0, 10), (0, 12)) and "xla_cpu_experimental_ynn_fusion_type" not in flags:
        os.environ["XLA_FLAGS"] = f"{flags} --xla_cpu_experimental_ynn_fusion_type=".strip()


def _keep_freed_pages() -> None:
    # XLA:CPU allocates its temporaries anew in every call; without this each call pays for page faults.
    if not sys.platform.startswith("linux") or "GLIBC_TUNABLES" in os.environ:
        return
    if any(name.startswith("MALLOC_") for name in os.environ):
        return
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return
    mallopt(_M_MMAP_MAX, 0)
    mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)
