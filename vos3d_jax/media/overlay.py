"""Pictures for people: masks laid over frames, and frame, truth and mask side by side with their names."""

import cv2
import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageFont

from vos3d_jax.constants import VOID
from vos3d_jax.media.masks import PALETTE, resize_mask_nearest

_PANEL_WIDTHS = (320, 640)  # narrower frames are enlarged, wider ones reduced, so that the text stays legible
_GAP, _BAR, _FONT_SIZE, _SMALLEST_FONT = 6, 26, 16, 10
_PAPER, _INK = (255, 255, 255), (20, 20, 20)


# The palette at full brightness: its own first colours are too dark to be seen over a frame.
_COLOURS = (PALETTE.astype(int) * 255 // np.maximum(PALETTE.max(1, keepdims=True), 1)).astype(np.uint8)
_COLOURS[VOID] = 128


def overlay(
    frame: UInt8[np.ndarray, "h w 3"], mask: UInt8[np.ndarray, "h w"], opacity: float = 0.45
) -> UInt8[np.ndarray, "h w 3"]:
    """Returns the frame [h, w, 3] with each id of the mask [h, w] tinted in its colour and outlined in white.

    Object 1 is red, 2 green, 3 yellow, ... (the brightened DAVIS palette); void (255) is grey; background
    stays as it is. `opacity` is 0 (no tint) to 1.
    """
    picture = frame.copy()
    thickness = max(1, round(min(mask.shape) / 240))
    square = np.ones((2 * thickness + 1,) * 2, np.uint8)
    for label in np.flatnonzero(np.bincount(mask.ravel(), minlength=256)[1:]) + 1:
        inside = (mask == label).astype(np.uint8)
        left, top, width, height = cv2.boundingRect(inside)
        inside = inside[top : top + height, left : left + width]
        part = picture[top : top + height, left : left + width]
        colour = np.broadcast_to(_COLOURS[label], part.shape)
        part[...] = cv2.copyTo(cv2.addWeighted(part, 1 - opacity, colour, opacity, 0), inside, part.copy())
        if label != VOID:
            # Nothing lies outside, so the outline also follows the image's border.
            core = cv2.erode(inside, square, borderType=cv2.BORDER_CONSTANT, borderValue=0)
            part[inside != core] = 255
    return picture


def side_by_side(
    frame: UInt8[np.ndarray, "h w 3"],
    truth: UInt8[np.ndarray, "h w"] | None,
    mask: UInt8[np.ndarray, "h w"],
    *,
    caption: str = "",
    names: tuple[str, str, str] = ("frame", "truth", "mask"),
) -> UInt8[np.ndarray, "height width 3"]:
    """Returns a picture of the frame, and truth and mask over it, each under its name, and a caption below.

    Panels of small frames are enlarged by a whole factor, those of large frames reduced. Without truth its
    panel is left out.
    """
    plain = _panel(frame)
    pictures = [(names[0], plain)]
    for name, labels in zip(names[1:], (truth, mask), strict=True):
        if labels is not None:
            pictures.append((name, overlay(plain, resize_mask_nearest(labels, plain.shape[:2]))))
    height, width = pictures[0][1].shape[:2]
    bottom = _BAR if caption else _GAP
    sheet = Image.new("RGB", (len(pictures) * (width + _GAP) + _GAP, _BAR + height + bottom), _PAPER)
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(_FONT_SIZE)
    for position, (name, picture) in enumerate(pictures):
        left = _GAP + position * (width + _GAP)
        draw.text((left + 2, _BAR // 2), name, fill=_INK, font=font, anchor="lm")
        sheet.paste(Image.fromarray(picture), (left, _BAR))
    if caption:
        caption = " ".join(caption.split())  # names of folders may hold the end of a line
        room, size = sheet.width - 2 * _GAP, _FONT_SIZE
        while draw.textlength(caption, font) > room and size > _SMALLEST_FONT:
            size -= 1
            font = ImageFont.load_default(size)
        draw.text((_GAP + 2, _BAR + height + bottom // 2), caption, fill=_INK, font=font, anchor="lm")
    return np.array(sheet)


def _panel(frame: np.ndarray) -> np.ndarray:
    """The frame at the width of a panel; masks are laid over it then, so that outlines stay crisp."""
    height, width = frame.shape[:2]
    low, high = _PANEL_WIDTHS
    if width > high:
        size = round(height * high / width), high
        resampling = Image.Resampling.LANCZOS
    else:
        factor = max(1, -(-low // width))
        size = height * factor, width * factor
        resampling = Image.Resampling.NEAREST
    return np.array(Image.fromarray(frame).resize((size[1], size[0]), resampling))
