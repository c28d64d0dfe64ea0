"""What a checkpoint is, from its names and shapes alone: source, system, and the arguments of the network.

A source shows from the name of its stem. What a state dict cannot show (epsilon, input constants, strides)
comes from the source, or from the published file itself, known by the start of its sha256.
"""

import dataclasses
import re
from collections.abc import Sequence
from typing import Any

from vos3d_jax.constants import BLOCKS
from vos3d_jax.errors import UserError
from vos3d_jax.porting.readers.file_bytes import listed, printable
from vos3d_jax.porting.rules.sources import SOURCES
from vos3d_jax.porting.signs import Shapes, begins, has, source_of

_MOST_CHANNELS = 1 << 16  # keeps the shapes of what a stranger's file asks for within what can be counted


@dataclasses.dataclass(frozen=True)
class Recognised:
    """What a file is.

    Attributes:
      source: a key of `rules.SOURCES`.
      system: what it becomes by itself; None when it has no classification head and is no whole network.
      backbone: "csn", "resnet", "r2plus1d", or "image" (2D).
      arguments: of that system, as far as names, shapes and the source tell.
      notes: what a person should know, one line each.
    """

    source: str
    system: str | None
    backbone: str
    arguments: dict[str, Any]
    notes: tuple[str, ...] = ()

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
    source = source_of(shapes)
    if source is None:
        others = f"; other weights: --root={' or --root='.join(roots)}" if roots else ""
        raise UserError(
            f"{printable(path)} is no checkpoint of a network known here: {len(shapes)} tensors, "
            f"the first are {listed(list(shapes))}{others}"
        )
    if not SOURCES[source].systems:
        return Recognised(source, None, "image", dict(SOURCES[source].settings["image"]))
    encoder, decoder = _encoder(path, source, shapes), {}
    backbone = encoder.pop("backbone")
    if SOURCES[source].bridges is not None:
        system = "dcseg"
        decoder = {"backbone": backbone, **_decoder(path, shapes)}
    else:
        head = next((name for name in shapes if re.fullmatch(_HEADS, name)), None)
        system = SOURCES[source].systems[backbone] if head else None
        if head:
            decoder["classes"] = _rows(path, shapes, head)
    settings = SOURCES[source].settings[backbone]
    if encoder.get("separation") == "ip" and system == "dcseg":
        settings = {**settings, "stem_time_padding": 3}
    return Recognised(source, system, backbone, {**encoder, **decoder, **settings})


_HEADS = r"fc\.weight|cls_head\.fc_cls\.weight|blocks\.5\.proj\.weight|last_out_L\d+_w"
_BLOCKS = re.compile(r"(?:encoder\.|backbone\.)?layer(\d)\.(\d+)\..|blocks\.(\d)\.res_blocks\.(\d+)\..")


def _encoder(path: object, source: str, shapes: Shapes) -> dict[str, Any]:
    """The encoder's arguments, and its `backbone`."""
    backbone = _backbone(source, shapes)
    blocks = _caffe2_blocks(shapes) if source.startswith("caffe2") else _blocks(shapes)
    known = BLOCKS[backbone]
    depth = next((depth for depth, counts in known.items() if counts == blocks), None)
    if depth is None:
        sizes = "; ".join(f"{size} for {list(counts)}" for size, counts in known.items())
        raise UserError(
            f"{printable(path)} looks like a {SOURCES[source].title}, but its stages have {list(blocks)} "
            f"blocks; depths known here: {sizes}"
        )
    stem = next(name for name in _STEMS[backbone] if name in shapes)
    arguments = {"backbone": backbone, "depth": depth, "width": _rows(path, shapes, stem)}
    if backbone == "csn":
        ip = source in _MIXES and begins(shapes, _MIXES[source])
        arguments["separation"] = "ip" if ip else "ir"
    return arguments


def _backbone(source: str, shapes: Shapes) -> str:
    if "r2plus1d" in source or "encoder.conv1.0.weight" in shapes:
        return "r2plus1d"
    for name in ("encoder.layer1.0.conv2.weight", "layer1.0.conv2.weight"):
        # A dense 3x3x3 convolution takes all channels, a depthwise one a single one, and a mix is 1x1x1.
        if name in shapes and shapes[name][1:2] != (1,) and shapes[name][2:] == (3, 3, 3):
            return "resnet"
    return "csn"


def _rows(path: object, shapes: Shapes, name: str) -> int:
    """The size of the first axis, which counts output channels."""
    if not shapes[name] or not 0 < shapes[name][0] <= _MOST_CHANNELS:
        shape = list(shapes[name])
        raise UserError(
            f"{printable(path)}: {name} has the shape {shape}, which no layer of a known network has"
        )
    return shapes[name][0]


_PLAIN_STEMS = (
    "encoder.conv1.weight", "stem.0.weight", "conv1.weight", "backbone.conv1.conv.weight",
    "conv1.conv.weight", "blocks.0.conv.weight", "conv1_w",
)  # fmt: skip
# Their rows are the encoder's width; an R(2+1)D stem has two convolutions.
_STEMS = {
    "csn": _PLAIN_STEMS,
    "resnet": _PLAIN_STEMS,
    "r2plus1d": ("encoder.conv1.3.weight", "stem.3.weight", "conv1_w"),
}
# What only ip blocks have: names that begin so.
_MIXES = {
    "3dcseg": "encoder.layer1.0.conv4.",
    "3dcseg_old": "encoder.layer1.0.conv4.",
    "3dcseg_backbone": "layer1.0.conv4.",
    "vmz": "layer1.0.conv2.0.2.",
    "mmaction2": "backbone.layer1.0.conv2.1.conv.",
    "mmaction2_backbone": "layer1.0.conv2.1.conv.",
    "caffe2": "comp_0_conv_2_middle_w",
}


def _blocks(shapes: Shapes) -> tuple[int, ...]:
    found: dict[int, set[int]] = {}
    for name in shapes:
        if match := _BLOCKS.match(name):
            stage, block = (int(number) for number in match.groups() if number is not None)
            found.setdefault(stage, set()).add(block)
    return tuple(max(found[stage]) + 1 for stage in sorted(found))


def _caffe2_blocks(shapes: Shapes) -> tuple[int, ...]:
    """Blocks are numbered through; each shortcut says where a stage begins."""
    ends = [int(match[1]) + 1 for name in shapes if (match := re.match(r"comp_(\d+)_", name))]
    starts = {0} | {int(m[1]) for name in shapes if (m := re.fullmatch(r"shortcut_projection_(\d+)_w", name))}
    bounds = [*sorted(starts), max(ends, default=0)]
    return tuple(end - start for start, end in zip(bounds, bounds[1:], strict=False))


def _decoder(path: object, shapes: Shapes) -> dict[str, Any]:
    classes = _rows(path, shapes, "decoders.0.pred2.weight")
    width = _rows(path, shapes, "decoders.0.convG1.weight") if "decoders.0.convG1.weight" in shapes else 256
    bridge = next((name for name, key in _BRIDGES.items() if begins(shapes, *key)), None)
    refinement = next((name for name, sign in _REFINEMENTS.items() if sign(shapes)), None)
    if bridge is None or refinement is None:
        what = "bridge (decoders.0.GC)" if bridge is None else "refinement (decoders.0.RF4)"
        raise UserError(f"{printable(path)} is a 3DC-Seg network whose {what} is none of the known ones")
    return {"bridge": bridge, "refinement": refinement, "decoder_width": width, "classes": classes}


_BRIDGES = {
    "gc3d": ("decoders.0.GC.conv_l1.",),
    "c3d": ("decoders.0.GC.c3d.", "decoders.0.GC.weight"),
    "nl3d": ("decoders.0.GC.nl.", "decoders.0.GC.1."),
    "aspp": ("decoders.0.GC.pyramid_layers.",),
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
