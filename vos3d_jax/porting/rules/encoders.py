"""The words of every source for the parts of an encoder: {our module: (convolution, its norm)}.

`{s}` is the stage (from 1), `{k}` is `{s}` + 1, `{b}` the block in the stage and `{g}` that in the network
(both from 0). Names are those of the published files: docs/porting.md lists them.
"""

from collections.abc import Mapping, Sequence

Table = Mapping[str, tuple[str, str | None]]
# {kind of encoder: what its stem and its blocks are made of}, in the order of the names below.
_STEMS = {"r2plus1d": ("space", "time"), "image": ("conv", "norm")}
_BLOCKS = {
    "ir": ("reduce", "separable/depthwise", "separable/pointwise", "shortcut"),
    "ip": ("reduce", "mix", "separable/depthwise", "separable/pointwise", "shortcut"),
    "resnet": ("reduce", "spatial", "expand", "shortcut"),
    "image": ("reduce", "spatial", "expand", "shortcut"),
    "r2plus1d": ("pair1/space", "pair1/time", "pair2/space", "pair2/time", "shortcut"),
}


def _encoders(stem: str, block: str, **kinds: Sequence[str]) -> dict[str, Table]:
    """{kind: table}, from names in pairs, "conv1 bn1" (without a norm "conv1"), of stem and block.

    `block` begins the names of a block, but for those with "=".
    """
    tables = {}
    for kind, names in kinds.items():
        stems = zip(_STEMS.get(kind, ("conv",)), stem.split(", "), strict=True)
        table = {f"encoder/stem/{part}": (*pair.split(), None)[:2] for part, pair in stems}
        for part, pair in zip(_BLOCKS[kind], names, strict=True):
            whole = (name[1:] if name.startswith("=") else block + name for name in pair.split())
            table[f"encoder/stage{{s}}/{{b}}/{part}"] = tuple(whole)
        tables[kind] = table
    return tables


_DOWNSAMPLE = "downsample.0 downsample.1"
# Trap: in 3DC-Seg's ir class the depthwise convolution is conv2, in its ip class conv3.
_THREE = ("conv1 bn1", "conv2 bn2", "conv3 bn3", _DOWNSAMPLE)
_FOUR = ("conv1 bn1", "conv2 bn2", "conv3 bn3", "conv4 bn4", _DOWNSAMPLE)
# A pair's norms: within the sequence conv2plus1d (1), and after it.
_PAIRS = (
    "conv1.0.0 conv1.0.1", "conv1.0.3 conv1.1", "conv2.0.0 conv2.0.1", "conv2.0.3 conv2.1", _DOWNSAMPLE,
)  # fmt: skip
_MMACTION2 = {
    # conv2 is a sequence: one entry in ir blocks, two in ip blocks.
    "ir": ("conv1.conv conv1.bn", "conv2.0.conv conv2.0.bn", "conv3.conv conv3.bn",
           "downsample.conv downsample.bn"),
    "ip": ("conv1.conv conv1.bn", "conv2.0.conv conv2.0.bn", "conv2.1.conv conv2.1.bn",
           "conv3.conv conv3.bn", "downsample.conv downsample.bn"),
}  # fmt: skip
_CAFFE2_SHORTCUT = "=shortcut_projection_{g} =shortcut_projection_{g}_spatbn"

# {source: {kind of encoder: table}}
ENCODERS: dict[str, dict[str, Table]] = {
    "3dcseg": {
        **_encoders("encoder.conv1 encoder.bn1", "encoder.layer{s}.{b}.", ir=_THREE, ip=_FOUR, resnet=_THREE),
        **_encoders(
            "encoder.conv1.0 encoder.conv1.1, encoder.conv1.3 encoder.conv1.4",
            "encoder.layer{s}.{b}.",
            r2plus1d=_PAIRS,
        ),
    },
    "3dcseg_backbone": _encoders("conv1 bn1", "layer{s}.{b}.", ir=_THREE, ip=_FOUR, resnet=_THREE),
    "vmz": _encoders(
        "stem.0 stem.1",
        "layer{s}.{b}.",
        ir=("conv1.0 conv1.1", "conv2.0 conv2.1", "conv3.0 conv3.1", _DOWNSAMPLE),
        ip=("conv1.0 conv1.1", "conv2.0.0 conv2.0.1", "conv2.0.2 conv2.1", "conv3.0 conv3.1", _DOWNSAMPLE),
    ),
    "mmaction2": _encoders("backbone.conv1.conv backbone.conv1.bn", "backbone.layer{s}.{b}.", **_MMACTION2),
    "mmaction2_backbone": _encoders("conv1.conv conv1.bn", "layer{s}.{b}.", **_MMACTION2),
    "pytorchvideo": _encoders(
        "blocks.0.conv blocks.0.norm",
        "blocks.{s}.res_blocks.{b}.",
        ir=(
            "branch2.conv_a branch2.norm_a",
            "branch2.conv_b branch2.norm_b",
            "branch2.conv_c branch2.norm_c",
            "branch1_conv branch1_norm",
        ),
    ),
    "r2plus1d": _encoders("stem.0 stem.1, stem.3 stem.4", "layer{s}.{b}.", r2plus1d=_PAIRS),
    "caffe2": _encoders(
        "conv1 conv1_spatbn_relu",
        "comp_{g}_",
        # The counter of the ir names skips 2: the depthwise convolution counts twice.
        ir=("conv_1 spatbn_1", "conv_3 spatbn_3", "conv_4 spatbn_4", _CAFFE2_SHORTCUT),
        ip=(
            "conv_1 spatbn_1",
            "conv_2_middle spatbn_2_middle",
            "conv_2 spatbn_2",
            "conv_3 spatbn_3",
            _CAFFE2_SHORTCUT,
        ),
    ),
    "caffe2_r2plus1d": _encoders(
        "conv1_middle conv1_middle_spatbn_relu, conv1 conv1_spatbn_relu",
        "comp_{g}_",
        r2plus1d=(
            "conv_1_middle spatbn_1_middle",
            "conv_1 spatbn_1",
            "conv_2_middle spatbn_2_middle",
            "conv_2 spatbn_2",
            _CAFFE2_SHORTCUT,
        ),
    ),
    # ResNet-50 for images; RGMP's is the same one with other names, and a second convolution in its stem.
    "torchvision": _encoders("conv1, bn1", "layer{s}.{b}.", image=_THREE),
    "rgmp": _encoders("Encoder.conv1, Encoder.bn1", "Encoder.res{k}.{b}.", image=_THREE),
}
