"""Packaging. The recipes in configs/ travel in the wheel as `vos3d_jax.configs`."""

import re
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

HERE = Path(__file__).parent


def _requirements() -> list[str]:
    lines = (HERE / "requirements.txt").read_text().splitlines()
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


class _BuildWithConfigs(build_py):
    """Lays the recipes beside the modules of a wheel.

    As a package with a `package_dir` of its own they would make setuptools install a checkout through an
    import hook, which a folder called vos3d_jax (the checkout itself, seen from the folder above) overrules.
    """

    def run(self) -> None:
        super().run()
        if not self.editable_mode:
            folder = Path(self.build_lib, "vos3d_jax/configs")
            self.mkpath(str(folder))
            for recipe in self._recipes():
                self.copy_file(recipe, str(folder / Path(recipe).name))

    def get_source_files(self) -> list[str]:
        return super().get_source_files() + self._recipes()

    def _recipes(self) -> list[str]:
        return [str(path.relative_to(HERE)) for path in sorted((HERE / "configs").glob("*.py"))]


setup(
    name="vos3d_jax",
    version=re.search(r'__version__ = "(.+)"', (HERE / "vos3d_jax/__init__.py").read_text())[1],
    description="Video object segmentation in JAX: 3DC-Seg, RGMP and separable 3D convolutions",
    long_description=(HERE / "README.md").read_text(),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    license_files=["LICENSE"],
    python_requires=">=3.11,<3.14",
    packages=find_packages(include=["vos3d_jax", "vos3d_jax.*"]),
    package_dir={"": "."},
    cmdclass={"build_py": _BuildWithConfigs},
    package_data={
        "vos3d_jax.evaluation": ["*.json", "report/templates/*"],
        "vos3d_jax.porting": ["network_shapes.json"],
    },
    install_requires=_requirements(),
    extras_require={
        "cuda": ["jax[cuda13]"],
        "tpu": ["jax[tpu]"],
        "test": [
            "beartype>=0.23",
            "hypothesis>=6.100",
            "import-linter>=2.1",
            "pytest>=8.3",
            "pytest-xdist>=3.6",
            "ruff>=0.17,<0.18",
            "safetensors>=0.4",
            "setuptools>=77",
        ],
        "notebooks": ["jupyter>=1.1", "jupytext>=1.16"],
        "parity": ["torch>=2.6"],
    },
    entry_points={"console_scripts": ["vos3d = vos3d_jax.__main__:main"]},
    classifiers=[
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Scientific/Engineering :: Image Recognition",
    ],
)
