"""Video object segmentation in JAX: 3DC-Seg, RGMP and separable 3D convolutions in one house.

The public interface is loaded on first use, so that `import vos3d_jax` brings neither jax nor any
plotting or video library.
"""

import importlib
from typing import Any

__version__ = "0.1.0"

_HOMES = {
    "build_model": "vos3d_jax.models",
    "forward": "vos3d_jax.models",
    "load_model": "vos3d_jax.storage",
    "Predictor": "vos3d_jax.inference.predictor",
    "score": "vos3d_jax.evaluation.scoring",
}
_MODULES = {"metrics": "vos3d_jax.evaluation.metrics"}

__all__ = ["build_model", "forward", "load_model", "metrics", "score", "Predictor"]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        from vos3d_jax import runtime

        runtime.prepare_compiler()
        return getattr(importlib.import_module(_HOMES[name]), name)
    if name in _MODULES:
        return importlib.import_module(_MODULES[name])
    raise AttributeError(f"module 'vos3d_jax' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
