"""Readers, one file a data set: `reader(split, data_dir=...)` gives a list of `Video`.

A list of sequences stands with its reader. Mind that `readers.folder`, `fbms`, `visal`, `jhmdb`, `jumpcut`,
`sa_v` and `youtube_vos` are the functions, not the modules of the same names.
"""

from vos3d_jax.data.readers.davis import (
    DAVIS2016,
    DAVIS2016_PAGE,
    DAVIS2017,
    DAVIS2017_PAGE,
    davis2016,
    davis2017,
)
from vos3d_jax.data.readers.fbms import FBMS, fbms
from vos3d_jax.data.readers.files import files_by_stem
from vos3d_jax.data.readers.folder import folder
from vos3d_jax.data.readers.jhmdb import JHMDB_CLASSES, jhmdb
from vos3d_jax.data.readers.jumpcut import JUMPCUT, jumpcut
from vos3d_jax.data.readers.sa_v import sa_v
from vos3d_jax.data.readers.segtrack import SEGTRACK_V2, segtrack_v2
from vos3d_jax.data.readers.visal import VISAL, VISAL_REPACKED, visal
from vos3d_jax.data.readers.youtube_vos import youtube_vos

__all__ = [
    "DAVIS2016",
    "DAVIS2016_PAGE",
    "DAVIS2017",
    "DAVIS2017_PAGE",
    "FBMS",
    "JHMDB_CLASSES",
    "JUMPCUT",
    "SEGTRACK_V2",
    "VISAL",
    "VISAL_REPACKED",
    "davis2016",
    "davis2017",
    "fbms",
    "files_by_stem",
    "folder",
    "jhmdb",
    "jumpcut",
    "sa_v",
    "segtrack_v2",
    "visal",
    "youtube_vos",
]
