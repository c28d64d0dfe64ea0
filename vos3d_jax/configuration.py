"""Finds a config file, runs its `get_config`, applies overrides: `--config=davis.py:dense --config.seed=1`.

A name is looked up as a path, then in the checkout's `configs/`, then in the installed package
`vos3d_jax.configs`. Overrides follow ml_collections' convention (`--config.stages[0].steps=10`).
"""

import importlib.util
from pathlib import Path
from typing import Any

from absl import flags
from ml_collections import ConfigDict, config_flags

from vos3d_jax.errors import UserError

_FOLDERS = (Path(__file__).resolve().parents[1] / "configs", Path(__file__).resolve().parent / "configs")


def load(arguments: list[str]) -> dict[str, Any]:
    """Returns the config that `--config=FILE[:VARIANT] [--config.KEY=VALUE ...]` stands for, as plain values.

    Its `name` is made of the file's name and the variant: "davis", "davis-dense".

    Args:
      arguments: flags that begin with `--config`, and nothing else, in any order.

    Raises:
      UserError: no such file, a file that cannot be run, an unknown key, a value of another type.
    """
    arguments = _joined(arguments)
    given = [argument for argument in arguments if argument.startswith("--config=")]
    if len(given) != 1:
        raise UserError(f"give one --config=FILE, for example --config=configs/demo.py ({len(given)} given)")
    name, _, variant = given[0].removeprefix("--config=").partition(":")
    path = find(name)
    config = _run(path, variant)
    line = ["main", *(argument for argument in arguments if argument is not given[0])]
    values = flags.FlagValues()
    try:
        config_flags.DEFINE_config_dict("config", config, flag_values=values, sys_argv=line)
        rest = values(line)[1:]
    except flags.Error as error:
        raise UserError(f"{error}: see {path} for the keys and their types") from error
    except (AttributeError, KeyError, IndexError) as error:
        # ml_collections nests the text of a KeyError, quotes and line breaks escaped.
        reason = str(error).replace("\\n", " ").replace("\\'", "'").strip("'\"").replace("' Did", ". Did")
        raise UserError(f"a --config override names no key of {path}: {reason}") from error
    if rest:
        raise UserError(f"unexpected argument {rest[0]!r}: overrides are written --config.KEY=VALUE")
    return {**_plain(config), "name": "-".join(filter(None, (path.stem, variant)))}


def find(name: str) -> Path:
    """Returns the path of config `name`, a path or the name of one of ours; UserError when there is none."""
    candidates = [Path(name), *(folder / name.removeprefix("configs/") for folder in _FOLDERS)]
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    known = sorted(
        {path.name for folder in _FOLDERS for path in folder.glob("*.py") if path.stem != "__init__"}
    )
    raise UserError(f"there is no config {name}: give a path, or one of {', '.join(known)}")


def _run(path: Path, variant: str) -> ConfigDict:
    spec = importlib.util.spec_from_file_location(f"config_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
        config = module.get_config(*filter(None, (variant,)))
    except Exception as error:
        raise UserError(f"config {path} cannot be run: {type(error).__name__}: {error}") from error
    if not isinstance(config, ConfigDict):
        raise UserError(f"{path}: get_config() returned {type(config).__name__}: expected a ConfigDict")
    return config


def _joined(arguments: list[str]) -> list[str]:
    """`--config X` as `--config=X`, so that one form is left."""
    result, rest = [], iter(arguments)
    for argument in rest:
        if argument.startswith("--config") and "=" not in argument:
            value = next(rest, None)
            if value is None:
                raise UserError(f"{argument} needs a value")
            argument = f"{argument}={value}"
        result.append(argument)
    return result


def _plain(value: Any) -> Any:
    if isinstance(value, ConfigDict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
