"""SA-V val and test: every object has a folder of its own masks, of every fourth frame.

Layout: `sav_dataset/README.md` of github.com/facebookresearch/sam2, whose `sav_evaluator.py` reads it. The
annotations of train (JSON) are not read.
"""

from pathlib import Path

from vos3d_jax.data.readers import listing
from vos3d_jax.data.video import Video
from vos3d_jax.errors import UserError

PAGE = "https://ai.meta.com/datasets/segment-anything-video"
_TITLE = "SA-V"


def sa_v(split: str, *, data_dir: str | Path | None) -> list[Video]:
    """Returns one video an object, "<video>/<object>": they may overlap; `read_mask` gives 0 and 1, or None.

        JPEGImages_24fps/<video>/00000.jpg              without them the frames with a mask are the video
        Annotations_6fps/<video>/<object>/00000.png     any value but 0 is the object
        sav_val.txt                                     the list of a split; without it every video

    Args:
        split: "val", "test", or the name of your own list `DIR/<split>.txt`, one video a line.
        data_dir: the folder that holds Annotations_6fps, or the folder above `sav_val`.

    Raises:
        UserError: the data or one of its files is missing or damaged.
    """
    title = f"{_TITLE} {split}"
    root = listing.find_root(title, PAGE, data_dir, ("Annotations_6fps",), (f"sav_{split}",))
    annotations = root / "Annotations_6fps"
    lists = [root / f"{name}.txt" for name in (split, f"sav_{split}")]
    names = listing.read_list(lists) or listing.folders_in(annotations)
    videos = []
    for name in listing.present(title, PAGE, annotations, names):
        frames = listing.frames_if_any(name, root / "JPEGImages_24fps" / name)
        for number in listing.folders_in(annotations / name):
            masks = listing.files_by_stem(annotations / name / number, listing.MASK_ENDINGS)
            videos.append(listing.make_video(f"{name}/{number}", frames, masks, listing.merged))
    if not videos:
        raise UserError(f"{annotations} holds no folders <video>/<object>/00000.png: fetch them from {PAGE}")
    return videos
