"""The words of 3DC-Seg and RGMP for the decoder: {our module: (convolution, its norm)}; `{n}` is 4, 3 or 2.

Names are those of 3DC-Seg's released classes, the older ones too.
"""

from vos3d_jax.porting.rules.encoders import Table

_GC = "decoders.0.GC"
_RF = "decoders.0.RF{n}"

COMMON: Table = {
    "bridge_residual/conv1": ("decoders.0.convG1", None),
    "bridge_residual/conv2": ("decoders.0.convG2", None),
    "head": ("decoders.0.pred2", None),
}


def _activated(ours: str, theirs: str, conv: object, norm: object) -> Table:
    """A convolution and the group norm after its ReLU."""
    return {f"{ours}/conv": (f"{theirs}.{conv}", None), f"{ours}/group_norm": (f"{theirs}.{norm}", None)}


def _dilated(dilation: int, branch: int) -> Table:
    ours, theirs = f"bridge/dilated{dilation}", f"{_GC}.pyramid_layers.{branch}"
    return {
        f"{ours}/grouped": (f"{theirs}.0", None),
        f"{ours}/group_norm": (f"{theirs}.2", None),
        **_activated(f"{ours}/point", theirs, 3, 5),
    }


def _non_local(reduce: str, block: str) -> Table:
    # g and phi are sequences, because of the pool after the convolution.
    return {
        "bridge/reduce": (f"{_GC}.{reduce}", None),
        "bridge/g": (f"{_GC}.{block}.g.0", None),
        "bridge/theta": (f"{_GC}.{block}.theta", None),
        "bridge/phi": (f"{_GC}.{block}.phi.0", None),
        "bridge/expand": (f"{_GC}.{block}.W.0", None),
        "bridge/norm": (f"{_GC}.{block}.W.1", None),
    }


BRIDGES: dict[str, Table] = {
    "gc3d": {
        "bridge/left1": (f"{_GC}.conv_l1", None),
        "bridge/left2": (f"{_GC}.conv_l2", None),
        "bridge/right1": (f"{_GC}.conv_r1", None),
        "bridge/right2": (f"{_GC}.conv_r2", None),
    },
    "c3d": {"bridge/conv": (f"{_GC}.c3d", None)},
    "nl3d": _non_local("nl.0", "nl.1"),
    "aspp": {
        **_activated("bridge/point", f"{_GC}.pyramid_layers.0", 0, 2),
        **_dilated(3, 1),
        **_dilated(6, 2),
        **_dilated(9, 3),
        **_activated("bridge/frame", f"{_GC}.pyramid_layers.4", "conv", "gn"),
        **_activated("bridge/join", _GC, "conv", "gn"),
    },
}
# Two older classes keep these bridges under other names.
OLD_BRIDGES: dict[str, Table] = {**BRIDGES, "c3d": {"bridge/conv": (_GC, None)}, "nl3d": _non_local("0", "1")}

# The five units of a refinement; each is one convolution in RF3D, a few layers in the variants.
_UNITS = {
    "skip": "convFS1",
    "skip_residual/conv1": "convFS2",
    "skip_residual/conv2": "convFS3",
    "merge_residual/conv1": "convMM1",
    "merge_residual/conv2": "convMM2",
}


def _units(layers: Table, skip: Table | None = None) -> Table:
    """The table whose units consist of `layers` (the first one of `skip`), {"": ...} for a single layer."""
    table = {}
    for ours, theirs in _UNITS.items():
        for part, (conv, norm) in (skip if skip and ours == "skip" else layers).items():
            module = f"refine{{n}}/{ours}/{part}".removesuffix("/")
            table[module] = (f"{_RF}.{theirs}{conv}", norm and f"{_RF}.{theirs}{norm}")
    return table


_PLAIN: Table = {"": ("", None)}
REFINEMENTS: dict[str, Table] = {
    "rf3d": _units(_PLAIN),
    "upsampling": {
        "refine{n}/conv1": (f"{_RF}.convMM1", None),
        "refine{n}/conv2": (f"{_RF}.convMM2", None),
    },
    "light": _units({"pointwise": (".0", None), "depthwise": (".2", None)}),
    "light_gn": _units(
        {
            "depthwise": (".0", None),
            "group_norm1": (".1", None),
            "pointwise": (".3", None),
            "group_norm2": (".4", None),
        }
    ),
    "dg": _units({"depthwise": (".0", None)}, {"pointwise": (".0", None), "depthwise": (".1", None)}),
    "two_plus_one_d": _units({"space": (".0", ".1"), "time": (".3", None)}),
    "conv_transpose": {**_units(_PLAIN), "refine{n}/upsample": (f"{_RF}.conv_t", None)},
}
# RGMP's decoder, from which 3DC-Seg's comes: the same words, kernels of two axes, one module.
RGMP: Table = {
    ours: (theirs.replace("decoders.0.", "Decoder."), None)
    for table in (COMMON, BRIDGES["gc3d"], REFINEMENTS["rf3d"])
    for ours, (theirs, _) in table.items()
}
