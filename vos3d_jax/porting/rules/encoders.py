"""The words of every source for the parts of an encoder: {our module: (convolution, its norm)}.

`{s}` is the stage (from 1), `{k}` is `{s}` + 1, `{b}` the block in the stage and `{g}` that in the network
(both from 0). Names are those of the published files: docs/porting.md lists them.
"""

from collections.abc import Mapping

Table = Mapping[str, tuple[str, str | None]]
_BLOCK = "encoder/stage{s}/{b}/"


def _table(stem: Table, block: str, parts: Table, head: str | None = None) -> Table:
    """The modules of an encoder; `block` begins the names of a block, except those of parts with "="."""
    table = dict(stem)
    for ours, theirs in parts.items():
        names = [name and (name[1:] if name.startswith("=") else block + name) for name in theirs]
        table[_BLOCK + ours] = (names[0], names[1])
    return table if head is None else {**table, "fc": (head, None)}


_STEM = "encoder/stem/conv"
_SHORTCUT = {"shortcut": ("downsample.0", "downsample.1")}

# In 3DC-Seg's ip class conv3 is the depthwise convolution, in its ir class conv2.
_SEGMENTATION = {
    "ir": {
        "reduce": ("conv1", "bn1"),
        "separable/depthwise": ("conv2", "bn2"),
        "separable/pointwise": ("conv3", "bn3"),
        **_SHORTCUT,
    },
    "ip": {
        "reduce": ("conv1", "bn1"),
        "mix": ("conv2", "bn2"),
        "separable/depthwise": ("conv3", "bn3"),
        "separable/pointwise": ("conv4", "bn4"),
        **_SHORTCUT,
    },
}
_VMZ = {
    "ir": {
        "reduce": ("conv1.0", "conv1.1"),
        "separable/depthwise": ("conv2.0", "conv2.1"),
        "separable/pointwise": ("conv3.0", "conv3.1"),
        **_SHORTCUT,
    },
    "ip": {
        "reduce": ("conv1.0", "conv1.1"),
        "mix": ("conv2.0.0", "conv2.0.1"),
        "separable/depthwise": ("conv2.0.2", "conv2.1"),
        "separable/pointwise": ("conv3.0", "conv3.1"),
        **_SHORTCUT,
    },
}
# mmaction2's conv2 is a sequence: one entry in ir blocks, two in ip blocks.
_MMACTION2 = {
    "ir": {
        "reduce": ("conv1.conv", "conv1.bn"),
        "separable/depthwise": ("conv2.0.conv", "conv2.0.bn"),
        "separable/pointwise": ("conv3.conv", "conv3.bn"),
        "shortcut": ("downsample.conv", "downsample.bn"),
    },
    "ip": {
        "reduce": ("conv1.conv", "conv1.bn"),
        "mix": ("conv2.0.conv", "conv2.0.bn"),
        "separable/depthwise": ("conv2.1.conv", "conv2.1.bn"),
        "separable/pointwise": ("conv3.conv", "conv3.bn"),
        "shortcut": ("downsample.conv", "downsample.bn"),
    },
}
_PYTORCHVIDEO = {
    "ir": {
        "reduce": ("branch2.conv_a", "branch2.norm_a"),
        "separable/depthwise": ("branch2.conv_b", "branch2.norm_b"),
        "separable/pointwise": ("branch2.conv_c", "branch2.norm_c"),
        "shortcut": ("branch1_conv", "branch1_norm"),
    },
}
# The counter of Caffe2's ir names skips 2: the depthwise convolution counts twice.
_CAFFE2_SHORTCUT = {"shortcut": ("=shortcut_projection_{g}", "=shortcut_projection_{g}_spatbn")}
_CAFFE2 = {
    "ir": {
        "reduce": ("conv_1", "spatbn_1"),
        "separable/depthwise": ("conv_3", "spatbn_3"),
        "separable/pointwise": ("conv_4", "spatbn_4"),
        **_CAFFE2_SHORTCUT,
    },
    "ip": {
        "reduce": ("conv_1", "spatbn_1"),
        "mix": ("conv_2_middle", "spatbn_2_middle"),
        "separable/depthwise": ("conv_2", "spatbn_2"),
        "separable/pointwise": ("conv_3", "spatbn_3"),
        **_CAFFE2_SHORTCUT,
    },
}
_DENSE = {
    "reduce": ("conv1", "bn1"),
    "spatial": ("conv2", "bn2"),
    "expand": ("conv3", "bn3"),
    **_SHORTCUT,
}


# A pair's norms: within the sequence conv2plus1d (1), and after it.
_R2PLUS1D = {
    "pair1/space": ("conv1.0.0", "conv1.0.1"),
    "pair1/time": ("conv1.0.3", "conv1.1"),
    "pair2/space": ("conv2.0.0", "conv2.0.1"),
    "pair2/time": ("conv2.0.3", "conv2.1"),
    **_SHORTCUT,
}
_CAFFE2_R2PLUS1D = {
    "pair1/space": ("conv_1_middle", "spatbn_1_middle"),
    "pair1/time": ("conv_1", "spatbn_1"),
    "pair2/space": ("conv_2_middle", "spatbn_2_middle"),
    "pair2/time": ("conv_2", "spatbn_2"),
    **_CAFFE2_SHORTCUT,
}


def _pairs(prefix: str, stem: str) -> Table:
    """The R(2+1)D stem, a sequence of six."""
    return {
        "encoder/stem/space": (f"{prefix}{stem}.0", f"{prefix}{stem}.1"),
        "encoder/stem/time": (f"{prefix}{stem}.3", f"{prefix}{stem}.4"),
    }


def _csn(stem: tuple[str, str], block: str, kinds: Mapping[str, Table], head: str | None) -> dict[str, Table]:
    return {kind: _table({_STEM: stem}, block, parts, head) for kind, parts in kinds.items()}


# {source: {kind of encoder: table}}; in 3DC-Seg's networks the encoder has no head.
ENCODERS: dict[str, dict[str, Table]] = {
    "3dcseg": {
        **_csn(("encoder.conv1", "encoder.bn1"), "encoder.layer{s}.{b}.", _SEGMENTATION, None),
        "resnet": _table({_STEM: ("encoder.conv1", "encoder.bn1")}, "encoder.layer{s}.{b}.", _DENSE),
        "r2plus1d": _table(_pairs("encoder.", "conv1"), "encoder.layer{s}.{b}.", _R2PLUS1D),
    },
    "3dcseg_backbone": {
        **_csn(("conv1", "bn1"), "layer{s}.{b}.", _SEGMENTATION, "fc"),
        "resnet": _table({_STEM: ("conv1", "bn1")}, "layer{s}.{b}.", _DENSE, "fc"),
    },
    "vmz": _csn(("stem.0", "stem.1"), "layer{s}.{b}.", _VMZ, "fc"),
    "mmaction2": _csn(
        ("backbone.conv1.conv", "backbone.conv1.bn"), "backbone.layer{s}.{b}.", _MMACTION2, "cls_head.fc_cls"
    ),
    "mmaction2_backbone": _csn(("conv1.conv", "conv1.bn"), "layer{s}.{b}.", _MMACTION2, None),
    "pytorchvideo": _csn(
        ("blocks.0.conv", "blocks.0.norm"), "blocks.{s}.res_blocks.{b}.", _PYTORCHVIDEO, "blocks.5.proj"
    ),
    "r2plus1d": {"r2plus1d": _table(_pairs("", "stem"), "layer{s}.{b}.", _R2PLUS1D, "fc")},
    "caffe2_r2plus1d": {
        "r2plus1d": _table(
            {
                "encoder/stem/space": ("conv1_middle", "conv1_middle_spatbn_relu"),
                "encoder/stem/time": ("conv1", "conv1_spatbn_relu"),
            },
            "comp_{g}_",
            _CAFFE2_R2PLUS1D,
            "last_out_L{classes}",
        )
    },
    "caffe2": _csn(("conv1", "conv1_spatbn_relu"), "comp_{g}_", _CAFFE2, "last_out_L{classes}"),
    # ResNet-50 for images; RGMP's is the same one with other names, and a second convolution in its stem.
    "torchvision": {
        "image": _table({_STEM: ("conv1", None), "encoder/stem/norm": ("bn1", None)}, "layer{s}.{b}.", _DENSE)
    },
    "rgmp": {
        "image": _table(
            {
                _STEM: ("Encoder.conv1", None),
                "encoder/stem/guidance": ("Encoder.conv1_p", None),
                "encoder/stem/norm": ("Encoder.bn1", None),
            },
            "Encoder.res{k}.{b}.",
            _DENSE,
        )
    },
}
