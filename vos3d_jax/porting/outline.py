"""The names and shapes of a network's tensors in plain Python: what a plan needs, without jax.

Building a network's shapes with Flax brings in jax, and takes a hundred times as long. That this page says
the same as the networks is proved for every system, encoder, bridge and refinement by
tests/porting/test_outline.py. Paths are unstacked (`models.stacking`).
"""

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from vos3d_jax.constants import BLOCKS

Shape = tuple[int, ...]
_Tensors = Iterator[tuple[str, Shape]]

# What is given where a system's arguments say nothing of it.
_DEFAULTS: dict[str, dict[str, Any]] = {
    "dcseg": {"backbone": "csn", "depth": 152, "classes": 2},
    "csn_classifier": {"backbone": "csn", "depth": 152, "classes": 400},
    "resnet3d_classifier": {"backbone": "resnet", "depth": 50, "classes": 400},
    "r2plus1d_classifier": {"backbone": "r2plus1d", "depth": 34, "classes": 400},
}
SYSTEMS = tuple(_DEFAULTS)
_NORM = ("scale", "bias", "mean", "var")
_GROUP_NORM = ("scale", "bias")
_DENSE, _POINT = (3, 3, 3), (1, 1, 1)


def shapes(system: str, given: Mapping[str, Any]) -> dict[str, Shape]:
    """{unstacked path: shape} of the parameters and statistics of a network, in the order of tables.

    Args:
      system: one of `SYSTEMS`.
      given: arguments of the system that it can have; nothing is checked here.
    """
    values = {"width": 64, "separation": "ir", **_DEFAULTS[system], **given}
    backbone, width, blocks = values["backbone"], values["width"], BLOCKS[values["backbone"]][values["depth"]]
    if backbone == "r2plus1d":
        found = dict(_r2plus1d(width, blocks, values["depth"]))
        skips = [width * 2**stage for stage in range(4)]
    else:
        found = dict(_bottlenecks(backbone, width, blocks, values["separation"]))
        skips = [4 * width * 2**stage for stage in range(4)]
    if system == "dcseg":
        found |= _decoder(skips, values)
    else:
        found |= {"fc/kernel": (skips[-1], values["classes"]), "fc/bias": (values["classes"],)}
    return {path: found[path] for path in sorted(found, key=_order)}


def _order(path: str) -> list[tuple[int, int | str]]:
    """Blocks in order, 2 before 10."""
    return [(0, int(part)) if part.isdigit() else (1, part) for part in path.split("/")]


def _leaves(path: str, names: tuple[str, ...], channels: int) -> _Tensors:
    for name in names:
        yield f"{path}/{name}", (channels,)


def _conv(path: str, inputs: int, outputs: int, kernel: Shape, ending: str = "bias") -> _Tensors:
    """A convolution and its `ending`: "none", "bias" or "norm"; a depthwise one has one input."""
    yield f"{path}/kernel", (*kernel, inputs, outputs)
    if ending == "bias":
        yield f"{path}/bias", (outputs,)
    elif ending == "norm":
        yield from _leaves(f"{path}/norm", _NORM, outputs)


def _bottlenecks(backbone: str, width: int, blocks: Shape, separation: str) -> _Tensors:
    taps = 3 if backbone == "csn" else 7
    yield from _conv("encoder/stem/conv", 3, width, (taps, 7, 7), "norm")
    inputs = width
    for stage, count in enumerate(blocks, start=1):
        inner = width * 2 ** (stage - 1)
        for block in range(count):
            path = f"encoder/stage{stage}/{block}"
            yield from _conv(f"{path}/reduce", inputs, inner, _POINT, "norm")
            if backbone == "csn":
                if separation == "ip":
                    yield from _conv(f"{path}/mix", inner, inner, _POINT, "norm")
                yield from _conv(f"{path}/separable/depthwise", 1, inner, _DENSE, "norm")
                yield from _conv(f"{path}/separable/pointwise", inner, 4 * inner, _POINT, "norm")
            else:
                yield from _conv(f"{path}/spatial", inner, inner, _DENSE, "norm")
                yield from _conv(f"{path}/expand", inner, 4 * inner, _POINT, "norm")
            if block == 0:
                yield from _conv(f"{path}/shortcut", inputs, 4 * inner, _POINT, "norm")
            inputs = 4 * inner


def _r2plus1d(width: int, blocks: Shape, depth: int) -> _Tensors:
    middle = max(1, 45 * width // 64)
    yield from _conv("encoder/stem/space", 3, middle, (1, 7, 7), "norm")
    yield from _conv("encoder/stem/time", middle, width, (3, 1, 1), "norm")
    inputs = width
    for stage, count in enumerate(blocks, start=1):
        outputs = width * 2 ** (stage - 1)
        for block in range(count):
            path = f"encoder/stage{stage}/{block}"
            first = _middle(inputs, outputs)
            # torchvision's 18 layers give both pairs the width of the block's own channels.
            second = first if depth == 18 else _middle(outputs, outputs)
            for pair, channels, middle in (("pair1", inputs, first), ("pair2", outputs, second)):
                yield from _conv(f"{path}/{pair}/space", channels, middle, (1, 3, 3), "norm")
                yield from _conv(f"{path}/{pair}/time", middle, outputs, (3, 1, 1), "norm")
            if block == 0 and stage > 1:
                yield from _conv(f"{path}/shortcut", inputs, outputs, _POINT, "norm")
            inputs = outputs


def _middle(inputs: int, outputs: int) -> int:
    return 27 * inputs * outputs // (9 * inputs + 3 * outputs)


def _decoder(skips: list[int], values: Mapping[str, Any]) -> dict[str, Shape]:
    width = values.get("decoder_width", 256)
    found = dict(_BRIDGES[values.get("bridge", "gc3d")](skips[-1], width))
    found |= _pair("bridge_residual", width, _dense)
    for number, skip in zip((2, 3, 4), skips, strict=False):
        found |= _refinement(f"refine{number}", skip, width, values.get("refinement", "rf3d"))
    return found | dict(_conv("head", width, values["classes"], _DENSE))


def _gc3d(inputs: int, outputs: int) -> _Tensors:
    tall, wide = (1, 7, 1), (1, 1, 7)
    for side, first, second in (("left", tall, wide), ("right", wide, tall)):
        yield from _conv(f"bridge/{side}1", inputs, outputs, first)
        yield from _conv(f"bridge/{side}2", outputs, outputs, second)


def _c3d(inputs: int, outputs: int) -> _Tensors:
    yield from _conv("bridge/conv", inputs, outputs, _DENSE)


def _nl3d(inputs: int, outputs: int) -> _Tensors:
    inner = max(1, outputs // 2)
    yield from _conv("bridge/reduce", inputs, outputs, _POINT)
    for name in ("g", "theta", "phi"):
        yield from _conv(f"bridge/{name}", outputs, inner, _POINT)
    yield from _conv("bridge/expand", inner, outputs, _POINT)
    yield from _leaves("bridge/norm", _NORM, outputs)


def _aspp(inputs: int, outputs: int) -> _Tensors:
    inner = max(1, outputs // 4)
    for dilation in (3, 6, 9):
        path = f"bridge/dilated{dilation}"
        yield f"{path}/grouped/kernel", (1, 3, 3, inputs // math.gcd(inputs, inner), inputs)
        yield from _leaves(f"{path}/group_norm", _GROUP_NORM, inputs)
        yield from _activated(f"{path}/point", inputs, inner)
    yield from _activated("bridge/point", inputs, inner)
    yield from _activated("bridge/frame", inputs, inner)
    yield from _activated("bridge/join", 5 * inner, outputs)


def _activated(path: str, inputs: int, outputs: int) -> _Tensors:
    yield from _conv(f"{path}/conv", inputs, outputs, _POINT, "none")
    yield from _leaves(f"{path}/group_norm", _GROUP_NORM, outputs)


_BRIDGES = {"gc3d": _gc3d, "c3d": _c3d, "nl3d": _nl3d, "aspp": _aspp}

_Unit = Callable[[str, int, int], _Tensors]


def _refinement(path: str, skip: int, channels: int, name: str) -> dict[str, Shape]:
    if name == "upsampling":
        joined = dict(_dense(f"{path}/conv1", skip + channels, channels))
        return joined | dict(_dense(f"{path}/conv2", channels, channels))
    unit, skip_unit = _UNITS.get(name, (_dense, _dense))
    found = dict(skip_unit(f"{path}/skip", skip, channels))
    for pair in ("skip_residual", "merge_residual"):
        found |= _pair(f"{path}/{pair}", channels, unit)
    if name == "conv_transpose":
        found |= _conv(f"{path}/upsample", channels, channels, (2, 2, 2))
    return found


def _pair(path: str, channels: int, unit: _Unit) -> dict[str, Shape]:
    first = dict(unit(f"{path}/conv1", channels, channels))
    return first | dict(unit(f"{path}/conv2", channels, channels))


def _dense(path: str, inputs: int, outputs: int) -> _Tensors:
    yield from _conv(path, inputs, outputs, _DENSE)


def _light(path: str, inputs: int, outputs: int) -> _Tensors:
    yield from _conv(f"{path}/pointwise", inputs, outputs, _POINT)
    yield from _conv(f"{path}/depthwise", 1, outputs, _DENSE)


def _light_group_norm(path: str, inputs: int, outputs: int) -> _Tensors:
    yield from _conv(f"{path}/depthwise", 1, inputs, _DENSE, "none")
    yield from _leaves(f"{path}/group_norm1", _GROUP_NORM, inputs)
    yield from _conv(f"{path}/pointwise", inputs, outputs, _POINT, "none")
    yield from _leaves(f"{path}/group_norm2", _GROUP_NORM, outputs)


def _depthwise(path: str, inputs: int, outputs: int) -> _Tensors:
    yield from _conv(f"{path}/depthwise", 1, outputs, _DENSE)


def _factorised(path: str, inputs: int, outputs: int) -> _Tensors:
    yield from _conv(f"{path}/space", inputs, 2 * outputs + 32, (1, 3, 3), "norm")
    yield from _conv(f"{path}/time", 2 * outputs + 32, outputs, (3, 1, 1), "none")


# {refinement: (in place of each 3x3x3 convolution, in place of the first)}
_UNITS: dict[str, tuple[_Unit, _Unit]] = {
    "light": (_light, _light),
    "light_gn": (_light_group_norm, _light_group_norm),
    "dg": (_depthwise, _light),
    "two_plus_one_d": (_factorised, _factorised),
}
