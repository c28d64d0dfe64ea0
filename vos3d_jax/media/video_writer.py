"""Frames into video files."""

from fractions import Fraction
from pathlib import Path
from types import TracebackType

import av
import numpy as np
from jaxtyping import UInt8

DEFAULT_RATE = Fraction(24)  # frames per second of what has none: the rate of DAVIS


class VideoWriter:
    """Writes uint8 RGB frames [h, w, 3] to an mp4 (H.264) that appears under its name only when complete.

    Use it as a context manager; an exception inside leaves nothing behind. Odd heights and widths, which
    the format does not have, are filled by repeating the last row or column.
    """

    def __init__(self, path: str | Path, rate: Fraction | float | int = DEFAULT_RATE):
        self.path = Path(path)
        self._partial = self.path.with_name(f".{self.path.name}.partial")
        self._rate = Fraction(rate).limit_denominator(1001)
        self._size: tuple[int, int] | None = None

    def __enter__(self) -> "VideoWriter":
        # The container is told its format because the temporary name does not end in .mp4.
        self._container = av.open(str(self._partial), "w", format="mp4")
        return self

    def write(self, frame: UInt8[np.ndarray, "h w 3"]) -> None:
        """Appends a frame; all frames have one size."""
        if self._size is None:
            self._size = frame.shape[:2]
            self._stream = self._container.add_stream("libx264", rate=self._rate)
            self._stream.height, self._stream.width = (side + side % 2 for side in self._size)
            self._stream.pix_fmt = "yuv420p"
            self._stream.options = {"preset": "veryfast", "crf": "18"}
        if frame.shape[:2] != self._size:
            raise ValueError(f"a frame is {frame.shape[:2]} but the first was {self._size}")
        height, width = self._size
        even = np.pad(frame, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
        self._container.mux(self._stream.encode(av.VideoFrame.from_ndarray(even, format="rgb24")))

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
