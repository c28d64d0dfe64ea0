"""The words of PyTorch files for the variants of 3DC-Seg: {our module: (its module, that of its norm)}.

Pure data for `rules`: the modules are the unstacked paths of `models.stacking.unstack` without the leaf,
`{s}` a stage (from 1), `{b}` a block in it (from 0), `{n}` a refinement (4, 3, 2). The second name is that
of the batch norm which our convolution holds as `.../norm`. Facts: spec-3dc-seg 2.2, 2.3, 2.4, 3.3;
spec-hou-3dcnn 1; the manifests.
"""

from collections.abc import Mapping

Table = Mapping[str, tuple[str, str | None]]

_GC, _RF = "decoders.0.GC.", "decoders.0.RF{n}."

BRIDGES: dict[str, Table] = {
    "c3d": {"bridge/conv": (_GC + "c3d", None)},
    "nl3d": {
        "bridge/reduce": (_GC + "nl.0", None),
        # Index 0 because of the pool, which theta has not.
        "bridge/g": (_GC + "nl.1.g.0", None),
        "bridge/phi": (_GC + "nl.1.phi.0", None),
        "bridge/theta": (_GC + "nl.1.theta", None),
        "bridge/expand": (_GC + "nl.1.W.0", None),
        "bridge/norm": (_GC + "nl.1.W.1", None),
    },
    "aspp": {
        "bridge/point/conv": (_GC + "pyramid_layers.0.0", None),
        "bridge/point/group_norm": (_GC + "pyramid_layers.0.2", None),
        **{
            f"bridge/dilated{3 * i}/{ours}": (f"{_GC}pyramid_layers.{i}.{theirs}", None)
            for i in (1, 2, 3)
            for ours, theirs in {
                "grouped": 0,
                "group_norm": 2,
                "point/conv": 3,
                "point/group_norm": 5,
            }.items()
        },
        "bridge/frame/conv": (_GC + "pyramid_layers.4.conv", None),
        "bridge/frame/group_norm": (_GC + "pyramid_layers.4.gn", None),
        "bridge/join/conv": (_GC + "conv", None),
        "bridge/join/group_norm": (_GC + "gn", None),
    },
}

# The older classes ResnetCSNNoGC and ResnetCSNNonLocal leave a level out (spec 3.3).
OLD_BRIDGES: dict[str, Table] = {
    "c3d": {"bridge/conv": (_GC[:-1], None)},
    "nl3d": {ours: (theirs.replace("GC.nl.", "GC."), None) for ours, (theirs, _) in BRIDGES["nl3d"].items()},
}

_UNITS = {
    "skip": "convFS1",
    "skip_residual/conv1": "convFS2",
    "skip_residual/conv2": "convFS3",
    "merge_residual/conv1": "convMM1",
    "merge_residual/conv2": "convMM2",
}


def _units(parts: Mapping[str, tuple[str, str | None]]) -> dict[str, tuple[str, str | None]]:
    """The table of a refinement each of whose units consists of `parts`."""
    return {
        f"refine{{n}}/{unit}/{ours}": (f"{_RF}{theirs}.{index}", norm and f"{_RF}{theirs}.{norm}")
        for unit, theirs in _UNITS.items()
        for ours, (index, norm) in parts.items()
    }


REFINEMENTS: dict[str, Table] = {
    "upsampling": {
        "refine{n}/conv1": (_RF + "convMM1", None),
        "refine{n}/conv2": (_RF + "convMM2", None),
    },
    "light": _units({"pointwise": ("0", None), "depthwise": ("2", None)}),
    "light_gn": _units(
        {
            "depthwise": ("0", None),
            "group_norm1": ("1", None),
            "pointwise": ("3", None),
            "group_norm2": ("4", None),
        }
    ),
    # Only the first unit has a 1x1x1 convolution.
    "dg": {
        **_units({"depthwise": ("0", None)}),
        "refine{n}/skip/pointwise": (_RF + "convFS1.0", None),
        "refine{n}/skip/depthwise": (_RF + "convFS1.1", None),
    },
    "two_plus_one_d": _units({"space": ("0", "1"), "time": ("3", None)}),
    "conv_transpose": {
        **{f"refine{{n}}/{ours}": (_RF + theirs, None) for ours, theirs in _UNITS.items()},
        "refine{n}/upsample": (_RF + "conv_t", None),
    },
}

# Modules whose PyTorch kernel has its inputs first, as every transposed convolution's: [i, o, t, h, w].
INPUTS_FIRST = ("refine{n}/upsample",)

# Parts of a block, below "layer{s}.{b}." in every source.
BLOCKS: dict[str, Table] = {
    "resnet": {
        "reduce": ("conv1", "bn1"),
        "spatial": ("conv2", "bn2"),
        "expand": ("conv3", "bn3"),
        "shortcut": ("downsample.0", "downsample.1"),
    },
    "r2plus1d": {
        "pair1/space": ("conv1.0.0", "conv1.0.1"),
        "pair1/time": ("conv1.0.3", "conv1.1"),
        "pair2/space": ("conv2.0.0", "conv2.0.1"),
        "pair2/time": ("conv2.0.3", "conv2.1"),
        "shortcut": ("downsample.0", "downsample.1"),
    },
}


def encoder(backbone: str, prefix: str, stem: str) -> dict[str, tuple[str, str | None]]:
    """The table of an encoder whose names begin with `prefix`.

    Args:
        backbone: a key of `BLOCKS`.
        prefix: "encoder." in 3DC-Seg's networks, "" in files of a classifier.
        stem: of R(2+1)D: "stem" in torchvision's and ig65m's files, "conv1" in 3DC-Seg's; else unused.
    """
    if backbone == "r2plus1d":
        stems = {"space": (f"{stem}.0", f"{stem}.1"), "time": (f"{stem}.3", f"{stem}.4")}
    else:
        stems = {"conv": ("conv1", "bn1")}
    parts = {f"encoder/stem/{ours}": theirs for ours, theirs in stems.items()}
    for ours, (conv, norm) in BLOCKS[backbone].items():
        parts[f"encoder/stage{{s}}/{{b}}/{ours}"] = (f"layer{{s}}.{{b}}.{conv}", f"layer{{s}}.{{b}}.{norm}")
    return {ours: (prefix + conv, f"{prefix}{norm}") for ours, (conv, norm) in parts.items()}
