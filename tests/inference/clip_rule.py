"""The clips of a video of known length, stated as plainly as the two rules allow (spec-3dc-seg.md 4.7)."""

from vos3d_jax.inference.clips import ClipFrames


def clips(length, clip_length=8, overlap=3, tail="code"):
    """The clips by increasing start."""
    stride, result = clip_length - overlap, []
    for start in range(0, length, stride):
        if tail == "paper" and start > 0 and start - stride + clip_length >= length:
            break  # the clip before reaches the last frame
        frames = list(range(start, min(start + clip_length, length)))
        missing = clip_length - len(frames)
        if tail == "code":
            result.append(ClipFrames((start,) * missing + tuple(frames), (True,) * clip_length))
        else:
            filled = tuple(frames) + (length - 1,) * missing
            result.append(ClipFrames(filled, (True,) * len(frames) + (False,) * missing))
    return result


def count_votes(made, length):
    """How many positions of the clips vote for each of the `length` frames."""
    votes = [0] * length
    for clip in made:
        for frame, counts in zip(clip.frames, clip.votes, strict=True):
            votes[frame] += counts
    return votes
