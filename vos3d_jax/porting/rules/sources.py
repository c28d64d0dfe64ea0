"""The kinds of files: their words, what in them is not needed, and what a state dict cannot show.

Epsilon, normalisation and licences, with where they are from: docs/porting.md.
"""

import dataclasses
import re
from collections.abc import Mapping, Sequence
from typing import Any

from vos3d_jax.constants import IMAGENET_INPUT, VMZ_INPUT
from vos3d_jax.porting.rules import decoders
from vos3d_jax.porting.rules.encoders import ENCODERS, Table

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
      licence: of the files that its authors published; of others nothing is known.
      systems: what such a file becomes: {backbone: system}; "dcseg" holds a whole network.
      encoders: a key of `ENCODERS`.
      bridges: tables of the bridges; None for a file without 3DC-Seg's decoder.
      decoder: the table of another decoder.
      unused: (pattern of names, why they are not needed).
      aliases: (pattern, prefix): such a name repeats the one of prefix and the pattern's group.
      constants: {argument: name}: buffers whose values are arguments of ours.
      settings: arguments that the state dict does not show, as its authors had them, by backbone.
    """

    title: str
    licence: str
    systems: Mapping[str, str]
    encoders: str
    bridges: Mapping[str, Table] | None = None
    decoder: Table = dataclasses.field(default_factory=dict)
    unused: Sequence[tuple[re.Pattern, str]] = (_COUNTER,)
    aliases: Sequence[tuple[re.Pattern, str]] = ()
    constants: Mapping[str, str] = dataclasses.field(default_factory=dict)
    settings: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=dict)

    def table(self, arguments: Mapping[str, Any]) -> Table:
        """{our module: (convolution, its norm)} for a network of these arguments."""
        backbone = arguments.get("backbone", "csn")
        kind = arguments.get("separation", "ir") if backbone == "csn" else backbone
        encoder = ENCODERS[self.encoders].get(kind, {})
        if self.bridges is None:
            return {**encoder, **self.decoder}
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

    def is_live(self, name: str) -> bool:
        """Whether a tensor of that name is in the function of such a file (a parameter of ours)."""
        known = self.why_unused(name) or self.alias_of(name) or name in self.constants.values()
        return not known

    def why_unused(self, name: str) -> str | None:
        """Why the function does not need a tensor of that name; None when it is not known to be unused."""
        return next((why for pattern, why in self.unused if pattern.fullmatch(name)), None)

    def alias_of(self, name: str) -> str | None:
        """The live name that `name` repeats, if it is an alias."""
        for pattern, prefix in self.aliases:
            if match := pattern.fullmatch(name):
                return prefix + match[1]
        return None


_CLASSIFIERS = {"csn": "csn_classifier", "resnet": "resnet3d_classifier", "r2plus1d": "r2plus1d_classifier"}
_CSN = {"csn": "csn_classifier"}
_R2PLUS1D = {"r2plus1d": "r2plus1d_classifier"}
_DCSEG_UNUSED = (
    _COUNTER,
    (re.compile(r"encoder\.conv1_p\.weight"), "convolution for a guidance mask that is never given"),
    (re.compile(r"encoder\.resnet\.fc\..*"), "classes of the pretraining, never evaluated"),
    (re.compile(r"decoders\.0\.pred[345]\..*"), "side outputs that are computed and thrown away"),
    # Trained files may hold two different norms here; only encoder.bn1 is in the forward pass (spec 3.1).
    (re.compile(r"encoder\.resnet\.bn1\..*"), "stale copy of the stem's norm; encoder.bn1 is the live one"),
)
_DCSEG = {
    "licence": "MIT (code of sabarim/3DC-Seg; the weights start from VMZ's, Apache-2.0)",
    "systems": {name: "dcseg" for name in ("csn", "resnet", "r2plus1d")},
    "encoders": "3dcseg",
    "constants": {"mean": "encoder.mean", "std": "encoder.std"},
    # R(2+1)D keeps the epsilon of its pretraining, which follows the depth.
    "settings": {"csn": {"epsilon": 1e-5}, "resnet": {"epsilon": 1e-5}, "r2plus1d": {}},
}

SOURCES: dict[str, WeightSource] = {
    "3dcseg": WeightSource(
        title="3DC-Seg network (class SaliencyNetwork)",
        bridges=decoders.BRIDGES,
        unused=_DCSEG_UNUSED,
        aliases=(_SECOND_NAMES,),
        **_DCSEG,
    ),
    "3dcseg_old": WeightSource(
        title="3DC-Seg network, older class (network/Resnet3dAgg.py)",
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
    "3dcseg_backbone": WeightSource(
        title="backbone file with the names of 3DC-Seg (network/Resnet3d.py)",
        licence="MIT (code of sabarim/3DC-Seg); CSN weights are VMZ's, Apache-2.0",
        systems=_CLASSIFIERS,
        encoders="3dcseg_backbone",
        # The CSN weights were trained with 1e-3 by VMZ, whatever the class that holds them here says.
        settings={"csn": {"epsilon": 1e-3, **VMZ_INPUT}, "resnet": {"epsilon": 1e-5}},
    ),
    "vmz": WeightSource(
        title="CSN classifier of VMZ (PyTorch)",
        licence=_APACHE,
        systems=_CSN,
        encoders="vmz",
        settings={"csn": {"epsilon": 1e-3, **VMZ_INPUT}},
    ),
    "r2plus1d": WeightSource(
        title="R(2+1)D classifier with the names of torchvision (torchvision, VMZ, ig65m)",
        licence="18 layers: BSD-3-Clause (torchvision); 34: MIT (ig65m-pytorch), weights of VMZ, Apache-2.0",
        systems=_R2PLUS1D,
        encoders="r2plus1d",
        # Epsilon follows the depth: 1e-5 for torchvision's 18 layers, 1e-3 for the 34 of VMZ.
        settings={"r2plus1d": VMZ_INPUT},
    ),
    "mmaction2": WeightSource(
        title="CSN classifier of mmaction2",
        licence=_APACHE,
        systems=_CSN,
        encoders="mmaction2",
        unused=(
            _COUNTER,
            (re.compile(r"data_preprocessor\.(mean|std)"), "constants of the input, read into the card"),
        ),
        constants={"mean": "data_preprocessor.mean", "std": "data_preprocessor.std"},
        settings={"csn": {"epsilon": 1e-3, **IMAGENET_INPUT}},
    ),
    "mmaction2_backbone": WeightSource(
        title="CSN backbone of mmaction2 (its pretrained= files)",
        licence=_APACHE,
        systems=_CSN,
        encoders="mmaction2_backbone",
        settings={"csn": {"epsilon": 1e-3, **VMZ_INPUT}},
    ),
    "pytorchvideo": WeightSource(
        title="CSN classifier of pytorchvideo",
        licence=_APACHE,
        systems=_CSN,
        encoders="pytorchvideo",
        settings={"csn": {"epsilon": 1e-5, **_PYTORCHVIDEO_INPUT}},
    ),
    "caffe2": WeightSource(
        title="CSN classifier of VMZ (Caffe2)",
        licence=_APACHE,
        systems=_CSN,
        encoders="caffe2",
        unused=(),
        settings={"csn": {"epsilon": 1e-3, **_CAFFE2_INPUT}},
    ),
    "caffe2_r2plus1d": WeightSource(
        title="R(2+1)D classifier of VMZ (Caffe2)",
        licence=_APACHE,
        systems=_R2PLUS1D,
        encoders="caffe2_r2plus1d",
        unused=(),
        settings={"r2plus1d": {"epsilon": 1e-3, **_CAFFE2_INPUT}},
    ),
    # Their network is not here yet: the tables say which tensor will be which.
    "rgmp": WeightSource(
        title="RGMP network",
        licence="non-commercial research only (the authors' README)",
        systems={},
        encoders="rgmp",
        decoder=decoders.RGMP,
        unused=(
            _COUNTER,
            (re.compile(r"Decoder\.pred[345]\..*"), "side outputs that do not influence the output"),
        ),
        constants={"mean": "Encoder.mean", "std": "Encoder.std"},
        settings={"image": {"epsilon": 1e-5, **IMAGENET_INPUT}},
    ),
    "torchvision": WeightSource(
        title="ResNet-50 for images (torchvision), RGMP's encoder",
        licence="BSD-3-Clause (torchvision)",
        systems={},
        encoders="torchvision",
        unused=(_COUNTER, (re.compile(r"fc\..*"), "classes of the pretraining, not in RGMP")),
        settings={"image": {"epsilon": 1e-5, **IMAGENET_INPUT}},
    ),
}
