"""Which data a video is of, as a line of text: what a run was begun with is told from other data by it."""

import hashlib

from vos3d_jax.data.video import Video
from vos3d_jax.errors import UserError


def identity(video: Video) -> str:
    """Returns a line that differs where the data differs: frames, masks, size and a digest of the files.

    The digest is of the names and sizes of all files and of the content of the first and the last, so it
    costs no decoding and does not change when the data set is moved or another library decodes it. What
    changes a file without changing its size is only found in these two.

    Raises:
        UserError: a file cannot be read.
    """
    height, width = video.size
    masks = "" if video.annotated is None else f", {len(video.annotated)} masks"
    return f"{video.length} frames of {width}x{height}{masks}{_digest(video) if video.files else ''}"


def _digest(video: Video) -> str:
    digest = hashlib.sha256()
    try:
        for path in video.files:
            digest.update(f"{path.name} {path.stat().st_size}\n".encode())
        for path in (video.files[0], video.files[-1]):
            digest.update(path.read_bytes())
    except OSError as error:
        raise UserError(f"{error.filename} cannot be read ({error.strerror}): mend or remove it") from error
    return f", files {digest.hexdigest()[:12]}"
