"""The words of 3DC-Seg and RGMP for the decoder: {our module: (convolution, its norm)}; `{n}` is 4, 3 or 2.

Names are those of 3DC-Seg's released classes, the older ones too.
"""

from collections.abc import Mapping

from vos3d_jax.porting.rules.encoders import Table

_GC = "decoders.0.GC"
_RF = "decoders.0.RF{n}"

COMMON: Table = {
    "bridge_residual/conv1": ("decoders.0.convG1", None),
    "bridge_residual/conv2": ("decoders.0.convG2", None),
    "head": ("decoders.0.pred2", None),
}


def _bridge(names: Mapping[str, str]) -> Table:
    return {f"bridge/{ours}": (f"{_GC}.{theirs}", None) for ours, theirs in names.items()}


def _non_local(reduce: str, block: str) -> Table:
    # g and phi are sequences, because of the pool after the convolution.
    names = {"g": "g.0", "theta": "theta", "phi": "phi.0", "expand": "W.0", "norm": "W.1"}
    return _bridge({"reduce": reduce, **{ours: f"{block}.{theirs}" for ours, theirs in names.items()}})


def _dilated(dilation: int, branch: int) -> dict[str, str]:
    numbers = {"grouped": 0, "group_norm": 2, "point/conv": 3, "point/group_norm": 5}
    return {f"dilated{dilation}/{ours}": f"pyramid_layers.{branch}.{n}" for ours, n in numbers.items()}


BRIDGES: dict[str, Table] = {
    "gc3d": _bridge({"left1": "conv_l1", "left2": "conv_l2", "right1": "conv_r1", "right2": "conv_r2"}),
    "c3d": _bridge({"conv": "c3d"}),
    "nl3d": _non_local("nl.0", "nl.1"),
    "aspp": _bridge(
        {
            "point/conv": "pyramid_layers.0.0",
            "point/group_norm": "pyramid_layers.0.2",
            **_dilated(3, 1),
            **_dilated(6, 2),
            **_dilated(9, 3),
            "frame/conv": "pyramid_layers.4.conv",
            "frame/group_norm": "pyramid_layers.4.gn",
            "join/conv": "conv",
            "join/group_norm": "gn",
        }
    ),
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


def _units(layers: Mapping[str, str], skip: Mapping[str, str] | None = None) -> Table:
    """The table whose units consist of `layers`, {ours: places in a sequence, of it and of its norm}.

    The first unit may consist of those of `skip` instead.
    """
    table = {}
    for ours, theirs in _UNITS.items():
        for part, places in (skip if skip and ours == "skip" else layers).items():
            conv, norm = (*(f"{_RF}.{theirs}.{place}" for place in places.split()), None)[:2]
            table[f"refine{{n}}/{ours}/{part}"] = (conv, norm)
    return table


_PLAIN: Table = {f"refine{{n}}/{ours}": (f"{_RF}.{theirs}", None) for ours, theirs in _UNITS.items()}
REFINEMENTS: dict[str, Table] = {
    "rf3d": _PLAIN,
    "upsampling": {f"refine{{n}}/conv{i}": (f"{_RF}.convMM{i}", None) for i in (1, 2)},
    "light": _units({"pointwise": "0", "depthwise": "2"}),
    "light_gn": _units({"depthwise": "0", "group_norm1": "1", "pointwise": "3", "group_norm2": "4"}),
    "dg": _units({"depthwise": "0"}, {"pointwise": "0", "depthwise": "1"}),
    "two_plus_one_d": _units({"space": "0 1", "time": "3"}),
    "conv_transpose": {**_PLAIN, "refine{n}/upsample": (f"{_RF}.conv_t", None)},
}
# RGMP's decoder, from which 3DC-Seg's comes: the same words, kernels of two axes, one module.
RGMP: Table = {
    ours: (theirs.replace("decoders.0.", "Decoder."), None)
    for table in (COMMON, BRIDGES["gc3d"], REFINEMENTS["rf3d"])
    for ours, (theirs, _) in table.items()
}
