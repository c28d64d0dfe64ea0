"""The kinds of files: the signs they are known by, their words, and what a state dict cannot show.

Epsilon, normalisation and licences, with where they are from: docs/porting.md.
"""

import dataclasses
import functools
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from vos3d_jax.constants import IMAGENET_INPUT, VMZ_INPUT
from vos3d_jax.porting.rules import decoders
from vos3d_jax.porting.rules.encoders import ENCODERS, Table

Shapes = Mapping[str, tuple[int, ...]]
_COUNTER = (re.compile(r".*\.num_batches_tracked|n_averaged"), "a counter, not in the function")
_SECOND_NAMES = (re.compile(r"encoder\.resnet\.((?:conv1|layer\d)\..*)"), "encoder.")
_CAFFE2_INPUT = {"mean": (110.201, 100.64, 95.9966), "std": (58.1489, 56.4701, 55.3324)}
_PYTORCHVIDEO_INPUT = {"mean": (114.75,) * 3, "std": (57.375,) * 3}
_APACHE = "Apache-2.0 (the licence of the repository that publishes the file; the file itself has none)"


@dataclasses.dataclass(frozen=True)
class WeightSource:
    """One kind of file.

    Attributes:
        title: what `inspect` calls it.
        sign: whether a file of these names and shapes is of this kind.
        licence: of the files that its authors published; of others nothing is known.
        systems: what such a file becomes: {backbone: system}.
        encoders: the tables of its encoders: a value of `ENCODERS`.
        head: of the classes that a backbone was trained on: its name, "{classes}" for their number.
        bridges: tables of the bridges; None for a file without 3DC-Seg's decoder.
        others: the table of what else it has.
        planar: its convolutions are of images; ours have an axis of time with one tap before.
        unused: (pattern of names, why they are not needed).
        aliases: (pattern, prefix): such a name repeats the one of prefix and the pattern's group.
        constants: {argument: name}: buffers whose values are arguments of ours.
        settings: arguments that the state dict does not show, as its authors had them, by backbone; those of
            a separation come beside.
    """

    title: str
    sign: Callable[[Shapes], bool]
    licence: str
    systems: Mapping[str, str]
    encoders: Mapping[str, Table]
    head: str | None = None
    bridges: Mapping[str, Table] | None = None
    others: Table = dataclasses.field(default_factory=dict)
    planar: bool = False
    unused: Sequence[tuple[re.Pattern, str]] = (_COUNTER,)
    aliases: Sequence[tuple[re.Pattern, str]] = ()
    constants: Mapping[str, str] = dataclasses.field(default_factory=dict)
    settings: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=dict)

    def table(self, arguments: Mapping[str, Any]) -> Table:
        """Returns {our module: (convolution, its norm)} for these arguments; {}: there is none."""
        backbone = arguments.get("backbone", "csn")
        kind = arguments.get("separation", "ir") if backbone == "csn" else backbone
        if (encoder := self.encoders.get(kind)) is None:
            return {}
        if self.bridges is None:
            return {**encoder, **self.others, **({"fc": (self.head, None)} if self.head else {})}
        return {
            **encoder,
            **decoders.COMMON,
            **self.bridges[arguments.get("bridge", "gc3d")],
            **decoders.REFINEMENTS[arguments.get("refinement", "rf3d")],
        }

    @property
    def licence_note(self) -> str:
        """The licence of a file whose author is not known: one that was trained here looks the same."""
        return f"if these are the authors' weights: {self.licence}"

    def is_head(self, name: str) -> bool:
        """Returns whether a tensor of that name is of the classes that a backbone was trained on."""
        return self.head is not None and self._head.fullmatch(name) is not None

    @functools.cached_property
    def _head(self) -> re.Pattern:
        return re.compile(re.escape(self.head).replace(r"\{classes\}", r"\d+") + r"[._]\w+")

    def is_live(self, name: str) -> bool:
        """Returns whether a tensor of that name is in the function of such a file (a parameter of ours)."""
        known = self.why_unused(name) or self.alias_of(name) or name in self.constants.values()
        return not known

    def why_unused(self, name: str) -> str | None:
        """Returns why the function needs no tensor of that name; None: it is not known to be unused."""
        return next((why for pattern, why in self.unused if pattern.fullmatch(name)), None)

    def alias_of(self, name: str) -> str | None:
        """Returns the live name that `name` repeats, if it is an alias."""
        for pattern, prefix in self.aliases:
            if match := pattern.fullmatch(name):
                return prefix + match[1]
        return None


def source_of(shapes: Shapes) -> str | None:
    """Returns the key of `SOURCES` whose sign {name: shape} bears; None for an unknown network."""
    return next((name for name, source in SOURCES.items() if source.sign(shapes)), None)


def has(*names: str) -> Callable[[Shapes], bool]:
    """Returns the sign that all these names are there."""
    return lambda shapes: all(name in shapes for name in names)


def _rank(name: str, rank: int) -> Callable[[Shapes], bool]:
    return lambda shapes: len(shapes.get(name, ())) == rank


def _stem_kernel(*kernel: int) -> Callable[[Shapes], bool]:
    return lambda shapes: shapes.get("stem.0.weight", ())[2:] == kernel


def _is_old(shapes: Shapes) -> bool:
    old = ("encoder.conv1.0.", "encoder.res2.", "decoder.", "decoders.0.GC.0.", "decoders.0.GC.weight")
    return "decoders.0.pred2.weight" in shapes and any(name.startswith(old) for name in shapes)


_CSN = {"csn": "csn_classifier"}
_R2PLUS1D = {"r2plus1d": "r2plus1d_classifier"}
_DCSEG_UNUSED = (
    _COUNTER,
    (re.compile(r"encoder\.conv1_p\.weight"), "convolution for a guidance mask that is never given"),
    (re.compile(r"encoder\.resnet\.fc\..*"), "classes of the pretraining, never evaluated"),
    (re.compile(r"decoders\.0\.pred[345]\..*"), "side outputs that are computed and thrown away"),
    # Trained files may hold two different norms here; only encoder.bn1 is in the forward pass.
    (re.compile(r"encoder\.resnet\.bn1\..*"), "stale copy of the stem's norm; encoder.bn1 is the live one"),
)
_DCSEG = {
    "licence": "MIT (code of sabarim/3DC-Seg; the weights start from VMZ's, Apache-2.0)",
    "systems": dict.fromkeys(("csn", "resnet", "r2plus1d"), "dcseg"),
    "encoders": ENCODERS["3dcseg"],
    "constants": {"mean": "encoder.mean", "std": "encoder.std"},
    "settings": {
        "csn": {"epsilon": 1e-5},
        "resnet": {"epsilon": 1e-5},
        "r2plus1d": {},  # keeps the epsilon of its pretraining, which follows the depth
        "ip": {"stem_time_padding": 3},  # a slip of the class, which its trained files have learnt with
    },
}

# A file is of the first kind whose sign it bears.
SOURCES: dict[str, WeightSource] = {
    "3dcseg_old": WeightSource(
        title="3DC-Seg network, older class (network/Resnet3dAgg.py)",
        sign=_is_old,
        bridges=decoders.OLD_BRIDGES,
        unused=(
            *_DCSEG_UNUSED,
            (re.compile(r"encoder\.res[2-5]\..*"), "2D ResNet-50 of a base class, never evaluated"),
            (re.compile(r"decoder\..*"), "decoder of a base class, never evaluated"),
        ),
        aliases=(
            (re.compile(r"encoder\.resnet\.stem\.(.*)"), "encoder.conv1."),
            _SECOND_NAMES,
        ),
        **_DCSEG,
    ),
    "3dcseg": WeightSource(
        title="3DC-Seg network (class SaliencyNetwork)",
        sign=has("encoder.conv1.weight", "decoders.0.pred2.weight"),
        bridges=decoders.BRIDGES,
        unused=_DCSEG_UNUSED,
        aliases=(_SECOND_NAMES,),
        **_DCSEG,
    ),
    "mmaction2": WeightSource(
        title="CSN classifier of mmaction2",
        sign=has("backbone.conv1.conv.weight"),
        licence=_APACHE,
        systems=_CSN,
        encoders=ENCODERS["mmaction2"],
        head="cls_head.fc_cls",
        unused=(
            _COUNTER,
            (re.compile(r"data_preprocessor\.(mean|std)"), "constants of the input, read into the card"),
        ),
        constants={"mean": "data_preprocessor.mean", "std": "data_preprocessor.std"},
        settings={"csn": {"epsilon": 1e-3, **IMAGENET_INPUT}},
    ),
    "mmaction2_backbone": WeightSource(
        title="CSN backbone of mmaction2 (its pretrained= files)",
        sign=has("conv1.conv.weight", "layer1.0.conv2.0.conv.weight"),
        licence=_APACHE,
        systems=_CSN,
        encoders=ENCODERS["mmaction2_backbone"],
        settings={"csn": {"epsilon": 1e-3, **VMZ_INPUT}},
    ),
    "pytorchvideo": WeightSource(
        title="CSN classifier of pytorchvideo",
        sign=has("blocks.0.conv.weight", "blocks.1.res_blocks.0.branch2.conv_b.weight"),
        licence=_APACHE,
        systems=_CSN,
        encoders=ENCODERS["pytorchvideo"],
        head="blocks.5.proj",
        settings={"csn": {"epsilon": 1e-5, **_PYTORCHVIDEO_INPUT}},
    ),
    "vmz": WeightSource(
        title="CSN classifier of VMZ (PyTorch)",
        sign=_stem_kernel(3, 7, 7),
        licence=_APACHE,
        systems=_CSN,
        encoders=ENCODERS["vmz"],
        head="fc",
        settings={"csn": {"epsilon": 1e-3, **VMZ_INPUT}},
    ),
    "r2plus1d": WeightSource(
        title="R(2+1)D classifier with the names of torchvision (torchvision, VMZ, ig65m)",
        sign=_stem_kernel(1, 7, 7),
        licence="18 layers: BSD-3-Clause (torchvision); 34: MIT (ig65m-pytorch), weights of VMZ, Apache-2.0",
        systems=_R2PLUS1D,
        encoders=ENCODERS["r2plus1d"],
        head="fc",
        # Epsilon follows the depth: 1e-5 for torchvision's 18 layers, 1e-3 for the 34 of VMZ.
        settings={"r2plus1d": VMZ_INPUT},
    ),
    "3dcseg_backbone": WeightSource(
        title="backbone file with the names of 3DC-Seg (network/Resnet3d.py)",
        sign=_rank("conv1.weight", 5),
        licence="MIT (code of sabarim/3DC-Seg); CSN weights are VMZ's, Apache-2.0",
        systems={**_CSN, "resnet": "resnet3d_classifier"},
        encoders=ENCODERS["3dcseg_backbone"],
        head="fc",
        # The CSN weights were trained with 1e-3 by VMZ, whatever the class that holds them here says.
        settings={"csn": {"epsilon": 1e-3, **VMZ_INPUT}, "resnet": {"epsilon": 1e-5}},
    ),
    "caffe2_r2plus1d": WeightSource(
        title="R(2+1)D classifier of VMZ (Caffe2)",
        sign=has("conv1_middle_w"),
        licence=_APACHE,
        systems=_R2PLUS1D,
        encoders=ENCODERS["caffe2_r2plus1d"],
        head="last_out_L{classes}",
        unused=(),
        settings={"r2plus1d": {"epsilon": 1e-3, **_CAFFE2_INPUT}},
    ),
    "caffe2": WeightSource(
        title="CSN classifier of VMZ (Caffe2)",
        sign=has("conv1_w"),
        licence=_APACHE,
        systems=_CSN,
        encoders=ENCODERS["caffe2"],
        head="last_out_L{classes}",
        unused=(),
        settings={"csn": {"epsilon": 1e-3, **_CAFFE2_INPUT}},
    ),
    # Their network is not here yet: the tables say which tensor will be which.
    "rgmp": WeightSource(
        title="RGMP network",
        sign=has("Encoder.conv1.weight", "Encoder.conv1_p.weight"),
        licence="non-commercial research only (the authors' README)",
        systems={},
        encoders=ENCODERS["rgmp"],
        others={**decoders.RGMP, "encoder/stem/guidance": ("Encoder.conv1_p", None)},
        planar=True,
        unused=(
            _COUNTER,
            (re.compile(r"Decoder\.pred[345]\..*"), "side outputs that do not influence the output"),
        ),
        constants={"mean": "Encoder.mean", "std": "Encoder.std"},
        settings={"image": {"epsilon": 1e-5, **IMAGENET_INPUT}},
    ),
    "torchvision": WeightSource(
        title="ResNet-50 for images (torchvision), RGMP's encoder",
        sign=_rank("conv1.weight", 4),
        licence="BSD-3-Clause (torchvision)",
        systems={},
        encoders=ENCODERS["torchvision"],
        planar=True,
        unused=(_COUNTER, (re.compile(r"fc\..*"), "classes of the pretraining, not in RGMP")),
        settings={"image": {"epsilon": 1e-5, **IMAGENET_INPUT}},
    ),
}
