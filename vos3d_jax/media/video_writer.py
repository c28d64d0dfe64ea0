"""Frames into video files."""

from fractions import Fraction
from pathlib import Path
from types import TracebackType

import av
import numpy as np
from jaxtyping import UInt8

from vos3d_jax.errors import UserError
from vos3d_jax.media.container import local_name

DEFAULT_RATE = Fraction(24)  # frames per second of what has none: the rate of DAVIS
_FASTEST = 1000
_TICKS = 90_000  # at least so many in a second
_ROUNDING = Fraction(1, 2000)  # seconds: containers round time stamps to 1 ms
_LONGEST_PAUSE = 600  # seconds; a longer one is an error of the time stamps


class VideoWriter:
    """Writes uint8 RGB frames [h, w, 3] to an mp4 (H.264) that appears under its name only when complete.

    Use it as a context manager; an exception inside leaves nothing behind. Odd heights and widths, which
    the format does not have, are filled by repeating the last row or column.
    """

    def __init__(self, path: str | Path, rate: Fraction | float | int = DEFAULT_RATE):
        self.path = Path(path)
        self._partial = self.path.with_name(f".{self.path.name}.partial")
        rate = Fraction(rate).limit_denominator(1001)
        self._rate = rate if 0 < rate <= _FASTEST else DEFAULT_RATE
        # The rate's own times are whole ticks.
        self._tick = Fraction(1, self._rate.numerator * -(-_TICKS // self._rate.numerator))
        self._size: tuple[int, int] | None = None
        self._latest: Fraction | None = None

    def __enter__(self) -> "VideoWriter":
        # The container is told its format because the temporary name does not end in .mp4.
        self._container = av.open(local_name(self._partial), "w", format="mp4")
        return self

    def write(
        self,
        frame: UInt8[np.ndarray, "h w 3"],
        time: Fraction | None = None,
        pixel_aspect: Fraction = Fraction(1),
    ) -> None:
        """Appends a frame; all frames have one size.

        Args:
            frame: the picture.
            time: seconds from the first frame at which it is shown. Without one, or where it does not rise or
                leaps by more than ten minutes, it is the step of the rate after the frame before.
            pixel_aspect: width of a pixel by its height; that of the first frame counts.

        Raises:
            UserError: the encoder does not take frames of this size.
        """
        if self._size is None:
            self._size = frame.shape[:2]
            self._stream = self._container.add_stream("libx264", rate=self._rate)
            self._stream.height, self._stream.width = (side + side % 2 for side in self._size)
            self._stream.pix_fmt = "yuv420p"
            # With B-frames mp4's length is wrong for uneven times: it takes the last frame in decoding order.
            self._stream.options = {"preset": "veryfast", "crf": "18", "bf": "0"}
            self._stream.codec_context.time_base = self._tick
            self._stream.codec_context.sample_aspect_ratio = pixel_aspect.limit_denominator(255)
        if frame.shape[:2] != self._size:
            raise ValueError(f"a frame is {frame.shape[:2]} but the first was {self._size}")
        height, width = self._size
        even = np.pad(frame, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
        picture = av.VideoFrame.from_ndarray(even, format="rgb24")
        picture.time_base = self._tick
        picture.pts = round(self._shown_at(time) / self._tick)
        picture.duration = round(1 / self._rate / self._tick)
        try:
            self._container.mux(self._stream.encode(picture))
        except (av.ArgumentError, av.ExternalError) as error:
            raise UserError(
                f"frames of {width}x{height} cannot be encoded as H.264 ({error.strerror}): add --no-overlay"
            ) from error

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        complete = False
        try:
            if kind is None and self._size is not None:
                self._container.mux(self._stream.encode())
                complete = True
        finally:
            self._container.close()
            if complete:
                self._partial.replace(self.path)
            else:
                self._partial.unlink(missing_ok=True)

    def _shown_at(self, time: Fraction | None) -> Fraction:
        """The time of a frame, on the grid of the rate where only rounding parts it from that."""
        following = Fraction(0) if self._latest is None else self._latest + 1 / self._rate
        if time is not None:
            even = round(time * self._rate) / self._rate
            if abs(time - even) <= _ROUNDING and (self._latest is None or even > self._latest):
                time = even
        if self._latest is None:
            time = following if time is None else time
        elif time is None or not self._tick <= time - self._latest <= _LONGEST_PAUSE:
            time = following
        self._latest = time
        return time
