"""What a checkpoint is, from its names and shapes alone: source, system, and the arguments of the network.

A source shows from its sign, the rest from the names that its tables give our modules. What a state dict
cannot show (epsilon, input constants, strides) comes from the source, or from the published file itself,
known by the start of its sha256.
"""

import dataclasses
import re
from collections.abc import Mapping, Sequence
from typing import Any

from vos3d_jax.constants import BLOCKS
from vos3d_jax.errors import UserError
from vos3d_jax.porting.readers.file_bytes import listed, printable
from vos3d_jax.porting.rules import SOURCES, WeightSource, source_of, torch_names
from vos3d_jax.porting.rules.sources import Shapes, has

_MOST_CHANNELS = 1 << 16  # keeps the shapes of what a stranger's file asks for within what can be counted


@dataclasses.dataclass(frozen=True)
class Recognised:
    """What a file is.

    Attributes:
        source: a key of `rules.SOURCES`.
        system: what it becomes by itself; None when it has no classification head and is no whole network.
        backbone: "csn", "resnet", "r2plus1d", or "image" (2D).
        arguments: of that system, as far as names, shapes and the source tell.
    """

    source: str
    system: str | None
    backbone: str
    arguments: dict[str, Any]

    @property
    def title(self) -> str:
        """The kind of file, in words."""
        return SOURCES[self.source].title


def recognise(path: object, shapes: Shapes, roots: Sequence[str] = ()) -> Recognised:
    """Returns what the tensors of these names and shapes are.

    Args:
        path: of the file, for messages.
        shapes: {name without wrapper and prefix: shape}.
        roots: keys of the file under which other weights lie, for messages.

    Raises:
        UserError: nothing known, or a network whose size is not built here; says what was seen.
    """
    name = source_of(shapes)
    if name is None:
        others = f"; other weights: --root={' or --root='.join(roots)}" if roots else ""
        raise UserError(
            f"{printable(path)} is no checkpoint of a network known here: {len(shapes)} tensors, "
            f"the first are {listed(list(shapes))}{others}"
        )
    source = SOURCES[name]
    if not source.systems:
        return Recognised(name, None, "image", dict(source.settings["image"]))
    kernels = {kind: _kernels(name, kind) for kind in source.encoders}
    kind = _kind(kernels, shapes)
    backbone = "csn" if kind in ("ir", "ip") else kind
    stem = [name for module, name in kernels[kind].items() if "/stem/" in module]
    arguments = {
        "depth": _depth(path, source, kind, BLOCKS[backbone], shapes),
        "width": _first_axis(path, shapes, stem[-1]),  # an R(2+1)D stem has two convolutions
        **({"separation": kind} if backbone == "csn" else {}),
    }
    system: str | None = source.systems[backbone]
    weights = (name for name in shapes if source.is_head(name) and name.endswith(("weight", "_w")))
    if source.bridges is not None:
        arguments |= {"backbone": backbone, **_decoder(path, source, shapes)}
    elif (head := next(weights, None)) is not None:
        arguments["classes"] = _first_axis(path, shapes, head)
    elif not source.others:
        system = None
    arguments |= {**source.settings[backbone], **source.settings.get(kind, {})}
    return Recognised(name, system, backbone, arguments)


def _kernels(source: str, kind: str) -> dict[str, str]:
    """{our module: the name of its kernel} for the stem and the first block of an encoder."""
    modules = [module.format(s=1, b=0) for module in SOURCES[source].encoders[kind]]
    choice = {"separation": kind} if kind in ("ir", "ip") else {"backbone": kind}
    names = torch_names([f"{module}/kernel" for module in modules], source, choice)
    return dict(zip(modules, names.values(), strict=True))


def _kind(kernels: Mapping[str, Mapping[str, str]], shapes: Shapes) -> str:
    """Which of the encoders with these kernels it is: a key of `kernels`."""
    if len(kernels) == 1:
        return next(iter(kernels))
    if "r2plus1d" in kernels and kernels["r2plus1d"]["encoder/stem/space"] in shapes:
        return "r2plus1d"
    if "resnet" in kernels:
        # A dense 3x3x3 convolution takes all channels, a depthwise one a single one, and a mix is 1x1x1.
        dense = shapes.get(kernels["resnet"]["encoder/stage1/0/spatial"], ())
        if dense[1:2] != (1,) and dense[2:] == (3, 3, 3):
            return "resnet"
    only_ip = set(kernels["ip"].values()) - set(kernels["ir"].values())
    return "ip" if any(name in shapes for name in only_ip) else "ir"


def _depth(
    path: object, source: WeightSource, kind: str, known: Mapping[int, Sequence[int]], shapes: Shapes
) -> int:
    word = next(names[0] for module, names in source.encoders[kind].items() if "{b}" in module)
    blocks = _caffe2_blocks(shapes) if "{g}" in word else _blocks(word, shapes)
    depth = next((depth for depth, counts in known.items() if counts == blocks), None)
    if depth is None:
        sizes = "; ".join(f"{size} for {list(counts)}" for size, counts in known.items())
        raise UserError(
            f"{printable(path)} looks like a {source.title}, but its stages have {list(blocks)} blocks; "
            f"depths known here: {sizes}"
        )
    return depth


def _blocks(word: str, shapes: Shapes) -> tuple[int, ...]:
    """How many blocks each stage has; `word` is the name of a part of any block, with {s} or {k}, and {b}."""
    begin = re.escape(word.partition("{b}")[0] + "{b}.").replace(r"\{b\}", r"(\d+)")
    pattern = re.compile(begin.replace(r"\{s\}", r"(\d)").replace(r"\{k\}", r"(\d)"))
    blocks: dict[int, set[int]] = {}
    for name in shapes:
        if match := pattern.match(name):
            blocks.setdefault(int(match[1]), set()).add(int(match[2]))
    return tuple(max(blocks[stage]) + 1 for stage in sorted(blocks))


def _caffe2_blocks(shapes: Shapes) -> tuple[int, ...]:
    """Blocks are numbered through; each shortcut says where a stage begins."""
    ends = [int(match[1]) + 1 for name in shapes if (match := re.match(r"comp_(\d+)_", name))]
    starts = {0} | {int(m[1]) for name in shapes if (m := re.fullmatch(r"shortcut_projection_(\d+)_w", name))}
    bounds = [*sorted(starts), max(ends, default=0)]
    return tuple(end - start for start, end in zip(bounds, bounds[1:], strict=False))


def _first_axis(path: object, shapes: Shapes, name: str) -> int:
    """The size of the axis that counts output channels."""
    shape = shapes.get(name)
    if not shape or not 0 < shape[0] <= _MOST_CHANNELS:
        what = "is not there" if shape is None else f"has the shape {list(shape)}, which no layer of it has"
        raise UserError(
            f"{printable(path)}: {name} shows how large the network is, but {what}: fetch the file again"
        )
    return shape[0]


def _decoder(path: object, source: WeightSource, shapes: Shapes) -> dict[str, Any]:
    width = "decoders.0.convG1.weight"
    bridges = (
        name
        for name, table in source.bridges.items()
        if any(f"{word}.weight" in shapes for word, _ in table.values())
    )
    bridge = next(bridges, None)
    refinement = next((name for name, sign in _REFINEMENTS.items() if sign(shapes)), None)
    if bridge is None or refinement is None:
        what = "bridge (decoders.0.GC)" if bridge is None else "refinement (decoders.0.RF4)"
        raise UserError(f"{printable(path)} is a 3DC-Seg network whose {what} is none of the known ones")
    return {
        "bridge": bridge,
        "refinement": refinement,
        "decoder_width": _first_axis(path, shapes, width) if width in shapes else 256,
        "classes": _first_axis(path, shapes, "decoders.0.pred2.weight"),
    }


_RF4 = "decoders.0.RF4."
_REFINEMENTS = {
    "conv_transpose": has(f"{_RF4}conv_t.weight"),
    "rf3d": has(f"{_RF4}convFS1.weight"),
    "two_plus_one_d": has(f"{_RF4}convFS1.1.running_mean"),
    "light": has(f"{_RF4}convFS1.2.weight"),
    "light_gn": has(f"{_RF4}convFS1.4.weight"),
    "dg": has(f"{_RF4}convFS1.1.weight"),
    "upsampling": has(f"{_RF4}convMM1.weight"),
}
