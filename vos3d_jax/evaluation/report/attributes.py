"""DAVIS-2016's attributes: what makes each sequence hard, and how a result fares with and without it.

Codes: fperazzi/davis-2017, data/db_info.yaml; names: Perazzi et al., CVPR 2016.
"""

import math
from dataclasses import dataclass

from vos3d_jax.evaluation.report.units import known_mean
from vos3d_jax.evaluation.scores import Scores

NAMES = {
    "AC": "appearance change",
    "BC": "background clutter",
    "CS": "camera shake",
    "DB": "dynamic background",
    "DEF": "deformation",
    "EA": "edge ambiguity",
    "FM": "fast motion",
    "HO": "heterogeneous object",
    "IO": "interacting objects",
    "LR": "low resolution",
    "MB": "motion blur",
    "OCC": "occlusion",
    "OV": "out of view",
    "ROT": "rotation",
    "SC": "shape complexity",
    "SV": "scale variation",
}
SEQUENCES = {
    "bear": "DEF",
    "blackswan": "",
    "bmx-bumps": "LR SV SC FM CS IO MB OCC HO EA OV",
    "bmx-trees": "LR SV SC FM CS IO MB DEF OCC HO EA BC",
    "boat": "SC DB EA BC",
    "breakdance": "FM DB MB DEF HO ROT OV AC",
    "breakdance-flare": "FM CS MB DEF HO ROT",
    "bus": "SC OCC HO EA",
    "camel": "CS IO DEF ROT",
    "car-roundabout": "ROT BC",
    "car-shadow": "LR EA AC BC",
    "car-turn": "SV ROT BC",
    "cows": "CS IO DEF OCC HO",
    "dance-jump": "SC DB MB DEF OCC HO ROT EA",
    "dance-twirl": "SC CS IO MB DEF HO ROT OV",
    "dog": "FM CS MB DEF ROT EA",
    "dog-agility": "FM MB DEF OCC HO EA OV AC",
    "drift-chicane": "LR SV FM DB HO ROT EA AC",
    "drift-straight": "LR SV FM CS MB HO ROT EA OV AC",
    "drift-turn": "SV FM IO DB HO ROT OV AC",
    "elephant": "CS DB DEF EA",
    "flamingo": "SC IO DB DEF HO",
    "goat": "CS DEF EA BC",
    "hike": "LR DEF HO",
    "hockey": "SC IO DEF HO ROT",
    "horsejump-high": "SC IO DEF OCC HO",
    "horsejump-low": "SC IO DEF OCC HO EA",
    "kite-surf": "SV SC IO DB MB OCC HO EA",
    "kite-walk": "SC IO DB DEF OCC HO",
    "libby": "SC MB DEF OCC HO EA",
    "lucia": "DEF OCC HO",
    "mallard-fly": "LR SV FM DB MB DEF ROT EA OV AC",
    "mallard-water": "LR IO DB EA",
    "motocross-bumps": "SV FM IO HO ROT OV AC BC",
    "motocross-jump": "SV SC FM IO MB DEF HO ROT EA OV AC",
    "motorbike": "LR SV SC FM IO OCC HO ROT EA",
    "paragliding": "LR SC IO HO",
    "paragliding-launch": "SC IO DEF HO EA",
    "parkour": "LR SV FM DEF OCC HO ROT AC",
    "rhino": "DEF OCC BC",
    "rollerblade": "LR FM CS MB DEF HO",
    "scooter-black": "SV IO HO EA",
    "scooter-gray": "SC FM IO OCC HO ROT EA BC",
    "soapbox": "SV IO MB DEF HO ROT AC",
    "soccerball": "LR FM MB OCC HO",
    "stroller": "SC FM CS IO DEF HO",
    "surf": "SV FM CS IO DB HO OV",
    "swing": "SC FM IO DEF OCC HO",
    "tennis": "SV FM IO MB DEF HO",
    "train": "SC HO EA",
}


@dataclass(frozen=True)
class AttributeMeans:
    """Means of a metric over the sequences with and without an attribute; NaN where there are none."""

    code: str
    metric: str
    count: int
    having: float
    lacking: float

    @property
    def difference(self) -> float:
        """Returns what the attribute costs (negative) or gives."""
        return self.having - self.lacking


def attribute_means(scores: Scores, metric: str) -> list[AttributeMeans]:
    """Returns J or F mean by attribute, hardest first; empty unless all scored sequences are DAVIS-2016's.

    Attributes that no scored sequence has are left out.
    """
    rows = [row for row in scores.rows if metric in row.series]
    if not scores.benchmark.startswith("davis2016") or any(row.sequence not in SEQUENCES for row in rows):
        return []
    by_row = [(SEQUENCES[row.sequence].split(), row.statistics(metric).mean) for row in rows]
    means = []
    for code in NAMES:
        having = [mean for codes, mean in by_row if code in codes]
        lacking = [mean for codes, mean in by_row if code not in codes]
        if having:
            means.append(AttributeMeans(code, metric, len(having), known_mean(having), known_mean(lacking)))
    return sorted(means, key=lambda means: (math.isnan(means.having), means.having))
