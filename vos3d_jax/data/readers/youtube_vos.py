"""YouTube-VOS: several objects, which may enter late, every fifth frame annotated.

Layout as its own downloads have it (youtube-vos.org; Xu et al., "YouTube-VOS: A Large-Scale Video Object
Segmentation Benchmark", 2018). The masks of valid and test are public only where an object enters.
"""

import json
from pathlib import Path

from vos3d_jax.data.readers import listing
from vos3d_jax.data.video import Video
from vos3d_jax.errors import UserError

PAGE = "https://youtube-vos.org/dataset/vos"
_TITLE = "YouTube-VOS"


def youtube_vos(split: str, *, data_dir: str | Path | None, complete: bool = False) -> list[Video]:
    """Returns the videos of a split, with object ids; `read_mask` gives None in frames without annotation.

        <split>/JPEGImages/<video>/00000.jpg      without them the frames that have a mask are the video
        <split>/Annotations/<video>/00000.png     ids 0, 1, 2, ...
        <split>/meta.json                         the videos, their objects, and the frames of each

    Args:
        split: "train", "valid" or "test", the folder; or the name of your own list `DIR/<split>.txt` beside
            `JPEGImages` and `Annotations`, one video a line.
        data_dir: the folder that holds those of the splits, or the folder of one split.
        complete: every frame that meta.json lists for an object must have its mask.

    Raises:
        UserError: the data or one of its files is missing or damaged.
    """
    title = f"{_TITLE} {split}"
    names = (split, f"{split}_all_frames")
    root = listing.find_root(title, PAGE, data_dir, ("Annotations",), names)
    listed = _listed(root / "meta.json")
    annotations = root / "Annotations"
    chosen = listing.read_list([root / f"{split}.txt"]) or list(listed) or listing.folders_in(annotations)
    videos = []
    for name in listing.present(title, PAGE, annotations, chosen):
        masks = listing.files_by_stem(annotations / name, listing.MASK_ENDINGS)
        lacking = [stem for stem in listed.get(name, ()) if stem not in masks]
        if complete and lacking:
            raise UserError(
                f"{annotations / name} has no {lacking[0]}.png, which meta.json lists: the masks of "
                "valid and test are not public, so only the server scores them; score train, or a list of it"
            )
        frames = listing.frames_if_any(name, root / "JPEGImages" / name)
        videos.append(listing.make_video(name, frames, masks, listing.ids))
    return videos


def _listed(path: Path) -> dict[str, list[str]]:
    """The videos of meta.json with the frames of their objects, each once; empty without the file."""
    if not path.is_file():
        return {}
    try:
        videos = json.loads(listing.read_text(path))["videos"]
        return {
            str(name): list(
                dict.fromkeys(str(frame) for item in video["objects"].values() for frame in item["frames"])
            )
            for name, video in videos.items()
        }
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UserError(
            f"{path} is no list of {_TITLE}'s objects ({type(error).__name__}: {error}): fetch it from {PAGE}"
        ) from None
