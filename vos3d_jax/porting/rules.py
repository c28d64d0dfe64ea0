"""Which tensor of a published PyTorch file is which of ours: one table per source, read both ways.

Ours are the unstacked paths of `models.stacking.unstack` ("encoder/stage1/0/reduce/kernel"). Facts:
spec-3dc-seg 3 and the manifests' README (every source stores the same arrays, only names differ).
"""

import dataclasses
import re
from collections.abc import Iterable, Mapping

import numpy as np
from jaxtyping import Shaped

# The parts of a block and of the stem: (convolution, norm) in the source's words.
_Pair = tuple[str, str]
_SEGMENTATION_BLOCKS: dict[str, dict[str, _Pair]] = {
    "ir": {
        "reduce": ("conv1", "bn1"),
        "separable/depthwise": ("conv2", "bn2"),
        "separable/pointwise": ("conv3", "bn3"),
        "shortcut": ("downsample.0", "downsample.1"),
    },
    "ip": {
        "reduce": ("conv1", "bn1"),
        "mix": ("conv2", "bn2"),
        "separable/depthwise": ("conv3", "bn3"),
        "separable/pointwise": ("conv4", "bn4"),
        "shortcut": ("downsample.0", "downsample.1"),
    },
}
_VMZ_BLOCKS: dict[str, dict[str, _Pair]] = {
    "ir": {
        "reduce": ("conv1.0", "conv1.1"),
        "separable/depthwise": ("conv2.0", "conv2.1"),
        "separable/pointwise": ("conv3.0", "conv3.1"),
        "shortcut": ("downsample.0", "downsample.1"),
    },
    "ip": {
        "reduce": ("conv1.0", "conv1.1"),
        "mix": ("conv2.0.0", "conv2.0.1"),
        "separable/depthwise": ("conv2.0.2", "conv2.1"),
        "separable/pointwise": ("conv3.0", "conv3.1"),
        "shortcut": ("downsample.0", "downsample.1"),
    },
}
_REFINEMENT = {
    "skip": "convFS1",
    "skip_residual/conv1": "convFS2",
    "skip_residual/conv2": "convFS3",
    "merge_residual/conv1": "convMM1",
    "merge_residual/conv2": "convMM2",
}
_DECODER = {
    "bridge/left1": "decoders.0.GC.conv_l1",
    "bridge/left2": "decoders.0.GC.conv_l2",
    "bridge/right1": "decoders.0.GC.conv_r1",
    "bridge/right2": "decoders.0.GC.conv_r2",
    "bridge_residual/conv1": "decoders.0.convG1",
    "bridge_residual/conv2": "decoders.0.convG2",
    "head": "decoders.0.pred2",
} | {
    f"refine{number}/{ours}": f"decoders.0.RF{number}.{theirs}"
    for number in (4, 3, 2)
    for ours, theirs in _REFINEMENT.items()
}
_NORM_LEAVES = {"scale": "weight", "bias": "bias", "mean": "running_mean", "var": "running_var"}
_LEAVES = {"kernel": "weight", "bias": "bias"}


@dataclasses.dataclass(frozen=True)
class Source:
    """One kind of file: `prefix` of the encoder's names, its words for stem and blocks, other modules.

    `unused` matches names that such files hold and no function of ours needs.
    """

    prefix: str
    stem: _Pair
    blocks: Mapping[str, Mapping[str, _Pair]]
    modules: Mapping[str, str]
    unused: str


SOURCES: dict[str, Source] = {
    # Of encoder.resnet.X and encoder.X the latter is live; their bn1 may differ (spec 3.1).
    "3dcseg": Source(
        "encoder.",
        ("conv1", "bn1"),
        _SEGMENTATION_BLOCKS,
        _DECODER,
        r"encoder\.(conv1_p\.weight|mean|std|resnet\..*)|decoders\.0\.pred[345]\..*|.*\.num_batches_tracked",
    ),
    "3dcseg_backbone": Source(
        "", ("conv1", "bn1"), _SEGMENTATION_BLOCKS, {"fc": "fc"}, r".*\.num_batches_tracked"
    ),
    "vmz": Source("", ("stem.0", "stem.1"), _VMZ_BLOCKS, {"fc": "fc"}, r".*\.num_batches_tracked"),
}


def torch_names(paths: Iterable[str], source: str) -> dict[str, str]:
    """{our path: name in the files of `source`}, in the order of `paths`.

    Raises:
        KeyError: for a path that this kind of file has no tensor for.
    """
    paths = list(paths)
    separation = "ip" if any("/mix/" in path for path in paths) else "ir"
    return {path: _name(path, SOURCES[source], separation) for path in paths}


def our_paths(paths: Iterable[str], source: str) -> dict[str, str]:
    """{name in the files of `source`: our path}: the inverse of `torch_names`."""
    return {name: path for path, name in torch_names(paths, source).items()}


def is_unused(name: str, source: str) -> bool:
    """Whether a tensor of that name is known to be in such files and not in the function."""
    return re.fullmatch(SOURCES[source].unused, name) is not None


def to_torch(path: str, array: Shaped[np.ndarray, "..."]) -> Shaped[np.ndarray, "..."]:
    """Our array with PyTorch's axes: convolutions [o, i, t, h, w], linear layers [o, i]."""
    if path.endswith("/kernel"):
        return array.transpose(4, 3, 0, 1, 2) if array.ndim == 5 else array.T
    return array


def from_torch(path: str, array: Shaped[np.ndarray, "..."]) -> Shaped[np.ndarray, "..."]:
    """The inverse of `to_torch`: convolutions [t, h, w, i, o], linear layers [i, o]."""
    if path.endswith("/kernel"):
        return array.transpose(2, 3, 4, 1, 0) if array.ndim == 5 else array.T
    return array


def _name(path: str, source: Source, separation: str) -> str:
    module, leaf = path.rsplit("/", 1)
    if module in source.modules:
        return f"{source.modules[module]}.{_LEAVES[leaf]}"
    norm = module.endswith("/norm")
    module = module.removesuffix("/norm")
    leaf = (_NORM_LEAVES if norm else _LEAVES)[leaf]
    if module == "encoder/stem/conv":
        return f"{source.prefix}{source.stem[norm]}.{leaf}"
    match = re.fullmatch(r"encoder/stage(\d)/(\d+)/(.+)", module)
    if match is None:
        raise KeyError(path)
    stage, block, part = match.groups()
    return f"{source.prefix}layer{stage}.{block}.{source.blocks[separation][part][norm]}.{leaf}"
