"""The signs by which a checkpoint is known: names that only one kind of file has, with the ranks they have.

They are those of the classes in the authors' code; docs/porting.md says where that is.
"""

from collections.abc import Callable, Iterable, Mapping

Shapes = Mapping[str, tuple[int, ...]]


def source_of(shapes: Shapes) -> str | None:
    """Returns the key of `rules.SOURCES` whose sign {name: shape} bears; None for an unknown network."""
    return next((name for name, sign in _SIGNS.items() if sign(shapes)), None)


def has(*names: str) -> Callable[[Shapes], bool]:
    """Returns the sign that all these names are there."""
    return lambda shapes: all(name in shapes for name in names)


def begins(shapes: Iterable[str], *prefixes: str) -> bool:
    """Whether any name begins with one of the prefixes."""
    return any(name.startswith(prefixes) for name in shapes)


def _rank(name: str, rank: int) -> Callable[[Shapes], bool]:
    return lambda shapes: len(shapes.get(name, ())) == rank


def _stem_kernel(*kernel: int) -> Callable[[Shapes], bool]:
    return lambda shapes: shapes.get("stem.0.weight", ())[2:] == kernel


def _is_old(shapes: Shapes) -> bool:
    old = ("encoder.conv1.0.", "encoder.res2.", "decoder.", "decoders.0.GC.0.", "decoders.0.GC.weight")
    return "decoders.0.pred2.weight" in shapes and begins(shapes, *old)


_SIGNS = {
    "3dcseg_old": _is_old,
    "3dcseg": has("encoder.conv1.weight", "decoders.0.pred2.weight"),
    "mmaction2": has("backbone.conv1.conv.weight"),
    "mmaction2_backbone": has("conv1.conv.weight", "layer1.0.conv2.0.conv.weight"),
    "pytorchvideo": has("blocks.0.conv.weight", "blocks.1.res_blocks.0.branch2.conv_b.weight"),
    "vmz": _stem_kernel(3, 7, 7),
    "r2plus1d": _stem_kernel(1, 7, 7),
    "3dcseg_backbone": _rank("conv1.weight", 5),
    "caffe2_r2plus1d": has("conv1_middle_w"),
    "caffe2": has("conv1_w"),
    "rgmp": has("Encoder.conv1.weight", "Encoder.conv1_p.weight"),
    "torchvision": _rank("conv1.weight", 4),
}
