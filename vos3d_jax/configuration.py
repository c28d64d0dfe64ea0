"""Finds a config file, runs its `get_config`, applies overrides: `--config=davis.py:dense --config.seed=1`.

A name is looked up as a path, then in the installed package `vos3d_jax.configs` or, in a checkout, in its
`configs/`. Overrides follow ml_collections' convention (`'--config.stages[0].steps=10'`).
"""

import dataclasses
import importlib.util
import re
import types
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from absl import flags
from ml_collections import ConfigDict, config_dict, config_flags

from vos3d_jax.errors import UserError
from vos3d_jax.schema import keys


def load(arguments: list[str], schema: type | None = None) -> dict[str, Any]:
    """Returns the config that `--config=FILE[:VARIANT] [--config.KEY=VALUE ...]` stands for, as plain values.

    Its `name` is made of the file's name and the variant: "davis", "davis-dense".

    Args:
        arguments: flags that begin with `--config`, and nothing else, in any order.
        schema: a data class of the config's keys; those that the file leaves out have their defaults, so that
            they can be overridden, too.

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
    if schema is not None:
        _complete(config, schema, arguments)
    line = ["main", *(argument for argument in arguments if argument is not given[0])]
    values = flags.FlagValues()
    try:
        config_flags.DEFINE_config_dict("config", config, flag_values=values, sys_argv=line)
        rest = values(line)[1:]
    except flags.Error as error:
        raise UserError(f"{error}: see {path} for the keys and their types") from error
    except (AttributeError, KeyError, IndexError) as error:
        if isinstance(error, IndexError):
            _refuse_beyond(config, line, path)
        # ml_collections nests the text of a KeyError, quotes and line breaks escaped.
        reason = str(error).replace("\\n", " ").replace("\\'", "'").strip("'\"").replace("' Did", ". Did")
        raise UserError(f"a --config override names no key of {path}: {reason}") from error
    if rest:
        raise UserError(f"unexpected argument {rest[0]!r}: overrides are written --config.KEY=VALUE")
    return {**_plain(config), "name": "-".join(filter(None, (path.stem, variant)))}


def find(name: str) -> Path:
    """Returns the path of config `name`, a path or the name of one of ours; UserError when there is none."""
    folder = _folder()
    for candidate in (Path(name), folder / name.removeprefix("configs/")):
        if candidate.is_file():
            return candidate
    known = sorted(path.name for path in folder.glob("*.py") if path.stem != "__init__")
    raise UserError(f"there is no config {name}: give a path, or one of {', '.join(known)}")


def _folder() -> Path:
    """Ours only: beside an installed package, a folder `configs` is somebody else's."""
    package = Path(__file__).resolve().parent
    own = package / "configs"
    return own if own.is_dir() else package.parent / "configs"


def _complete(values: ConfigDict, schema: type, overrides: Sequence[str], where: str = "--config") -> None:
    """Adds the defaults of the data class `schema` to `values`, at every depth.

    A mapping is checked by whom it is for: it gets the keys that `overrides` name, to be read as literals.
    """
    inside = [one.removeprefix(f"{where}.") for one in overrides if one.startswith(f"{where}.")]
    given = dict(values.items()) | {key: value for key, _, value in (one.partition("=") for one in inside)}
    for key, (hint, item) in keys(schema, given, where.lstrip("-")).items():
        may_be_none = typing.get_origin(hint) is types.UnionType  # `X | None` is the only one
        if may_be_none:
            hint = next(one for one in typing.get_args(hint) if one is not types.NoneType)
        if key not in values:
            default = item.default
            if item.default_factory is not dataclasses.MISSING:
                default = item.default_factory()
            if default is dataclasses.MISSING:
                continue
            values[key] = dataclasses.asdict(default) if dataclasses.is_dataclass(default) else default
        value, place = values[key], f"{where}.{key}"
        if value is None and may_be_none:
            # None alone has no type that a flag could be read as.
            values[key] = config_dict.placeholder(typing.get_origin(hint) or hint)
        elif dataclasses.is_dataclass(hint) and isinstance(value, ConfigDict):
            _complete(value, hint, overrides, place)
        elif typing.get_origin(hint) is Mapping and isinstance(value, ConfigDict):
            for name in re.findall(rf"^{key}\.(\w+)", "\n".join(inside), re.MULTILINE):
                if name not in value:
                    value[name] = config_dict.placeholder(object)
        elif typing.get_origin(hint) is tuple and isinstance(value, tuple | list):
            part = typing.get_args(hint)[0]
            if dataclasses.is_dataclass(part):
                # ml_collections leaves dicts within tuples as they are.
                value = tuple(ConfigDict(one) if isinstance(one, dict) else one for one in value)
                values[key] = value
                for index, one in enumerate(value):
                    if isinstance(one, ConfigDict):
                        _complete(one, part, overrides, f"{place}[{index}]")


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
    """`--config X` as `--config=X`, with underscores for dashes: one form is left."""
    result, rest = [], iter(arguments)
    for argument in rest:
        flag, equals, value = argument.partition("=")
        argument = re.sub(r"(?<=[a-z])-(?=[a-z])", "_", flag) + equals + value
        if argument.startswith("--config") and "=" not in argument:
            value = next(rest, None)
            if value is None:
                raise UserError(f"{argument} needs a value")
            argument = f"{argument}={value}"
        result.append(argument)
    return result


def _refuse_beyond(config: ConfigDict, arguments: list[str], path: Path) -> None:
    """UserError that names the first override of an element that a tuple of the config does not have."""
    for argument in arguments:
        value, seen = config, ""
        for key in re.findall(r"[^.\[\]]+", argument.partition("=")[0].removeprefix("--config")):
            if isinstance(value, list | tuple) and key.lstrip("-").isdecimal():
                if not -len(value) <= int(key) < len(value):
                    last = f", the last is {seen}[{len(value) - 1}]" if value else ""
                    raise UserError(f"{argument}: {path} has {len(value)} of {seen}{last}")
                value, seen = value[int(key)], f"{seen}[{key}]"
            elif isinstance(value, ConfigDict) and key in value:
                value, seen = value[key], f"{seen}.{key}".lstrip(".")
            else:
                break


def _plain(value: Any) -> Any:
    if isinstance(value, ConfigDict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return tuple(_plain(item) for item in value)
    return value
