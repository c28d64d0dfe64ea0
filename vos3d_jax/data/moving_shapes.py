"""Generated videos of moving shapes with exact masks: the data set that needs no file.

Textured polygons, ellipses and wobbling blobs move over a textured background that drifts, turns and
zooms by itself. Objects differ from their background in motion, hue and saturation, but no colour means
"object": hues are drawn anew for every video, saturations overlap between videos, brightness overlaps
everywhere, and part of the backgrounds carry small saturated spots that move with them. Objects overlap
each other and leave the frame in part. Everything is a pure function of (seed, split, index), and the
splits draw from separate random streams, so nothing is shared between training and validation.
The data set is our own; its scores compare with nothing published.
"""

import colorsys
import functools
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

from vos3d_jax.data.video import Video
from vos3d_jax.errors import UserError

SPLITS = {"train": 0, "val": 1, "stills": 2}
_TILE = 128  # side of a texture, which repeats; one texture pixel is 1/64 of the frame's short edge
_DETAIL = 64.0
_FINE = 4  # outlines are drawn this many times finer, then averaged: soft edges in frames, exact masks


def videos(split: str, *, count: int, length: int, size: tuple[int, int], seed: int = 0) -> list[Video]:
    """Returns `count` videos of `length` frames of `size` (height, width); a `split` of `SPLITS`.

    Frames are uint8 RGB, masks uint8 with ids 0 (background) to at most 3. Video k is the same whatever
    `count` is, and its first frames are the same whatever `length` is.
    """
    return [_video(split, index, length, tuple(size), seed) for index in range(count)]


def render(
    split: str, index: int, time: int, size: tuple[int, int], seed: int = 0
) -> tuple[UInt8[np.ndarray, "h w 3"], UInt8[np.ndarray, "h w"]]:
    """Returns the frame and the mask of one video at one time, drawn anew."""
    scene = _scene(SPLITS[split], index, size[0] / size[1], seed)
    unit = min(size)
    y, x = np.meshgrid(*(np.arange(side) - (side - 1) / 2 for side in size), indexing="ij")
    pixels = np.stack([x, y], -1).astype(np.float32) / unit
    frame = _look_up(scene.background, pixels, *scene.camera.at(time)).astype(np.float32)
    mask = np.zeros(size, np.uint8)
    for number, thing in enumerate(scene.objects, start=1):
        centre, angle, zoom = thing.motion.at(time)
        turn = _rotation(angle) / zoom  # picture to object; its inverse carries the outline
        outline = thing.outline * (1 + thing.wobble * np.sin(thing.wobble_phase + 0.25 * time))[:, None]
        corners = outline @ np.linalg.inv(turn).T + centre
        cover = _cover(corners, size)
        colours = _look_up(thing.texture, pixels, centre, angle, zoom)
        frame += cover[..., None] * (colours - frame)
        mask[cover >= 0.5] = number
    return np.rint(frame).astype(np.uint8), mask


@dataclass(frozen=True)
class _Motion:
    """Where, how turned and how large something is: a drift plus swings, in short edges, radians, factors."""

    centre: np.ndarray  # [2] x, y
    drift: np.ndarray  # [2] a frame
    swing: np.ndarray  # [2]
    pace: np.ndarray  # [4] radians a frame: x, y, angle, zoom
    phase: np.ndarray  # [4]
    angle: float
    turn: float
    zoom: float

    def at(self, time: int) -> tuple[np.ndarray, float, float]:
        wave = np.sin(self.phase + self.pace * time)
        centre = self.centre + self.drift * time + self.swing * wave[:2]
        return centre, self.angle + self.turn * wave[2], 1 + self.zoom * wave[3]


@dataclass(frozen=True)
class _Object:
    outline: np.ndarray  # [points, 2]
    wobble: float  # share of the radius
    wobble_phase: np.ndarray  # [points]
    texture: np.ndarray  # [tile, tile, 3] uint8
    motion: _Motion


@dataclass(frozen=True)
class _Scene:
    background: np.ndarray  # [tile, tile, 3] uint8
    camera: _Motion
    objects: tuple[_Object, ...]


def _video(split: str, index: int, length: int, size: tuple[int, int], seed: int) -> Video:
    if split not in SPLITS:
        raise UserError(f"moving_shapes has no split {split!r}: choose one of {', '.join(SPLITS)}")
    key = (split, index, size, seed)
    return Video(
        name=f"{split}-{index:04d}",
        length=length,
        read_frame=functools.partial(_read, 0, key),
        read_mask=functools.partial(_read, 1, key),
        size=size,
        frame_names=tuple(f"{time:05d}" for time in range(length)),
    )


def _read(which: int, key: tuple, time: int) -> np.ndarray:
    return _drawn(*key, time)[which].copy()


@functools.lru_cache(maxsize=16)  # a frame and its mask are asked for one after the other
def _drawn(split: str, index: int, size: tuple[int, int], seed: int, time: int):
    return render(split, index, time, size, seed)


@functools.lru_cache(maxsize=64)
def _scene(split: int, index: int, aspect: float, seed: int) -> _Scene:
    """What a video shows, in short edges from the centre of the frame."""
    rng = np.random.default_rng([seed, split, index])
    hue, saturation = rng.uniform(), rng.uniform(0.05, 0.55)
    spots = rng.uniform() < 0.35
    background = _texture(rng, _palette(rng, hue, saturation))
    if spots:
        colour = _palette(rng, hue + rng.uniform(0.2, 0.8), saturation + 0.3)[1]
        background = _spotted(rng, background, colour)
    camera = _Motion(
        centre=rng.uniform(-1, 1, 2),
        drift=_direction(rng) * rng.uniform(0.0, 0.025),
        swing=rng.uniform(0.0, 0.1, 2),
        pace=rng.uniform(0.03, 0.12, 4),
        phase=rng.uniform(0, 2 * np.pi, 4),
        angle=rng.uniform(0, 2 * np.pi),
        turn=rng.uniform(0.0, 0.25),
        zoom=rng.uniform(0.0, 0.15),
    )
    count = int(rng.choice([1, 2, 3], p=[0.5, 0.3, 0.2]))
    half = np.array([0.5 / min(aspect, 1), 0.5 * max(aspect, 1)])
    objects = tuple(_draw_object(rng, hue, saturation, count, half) for _ in range(count))
    return _Scene(background, camera, objects)


def _draw_object(rng, hue: float, saturation: float, count: int, half: np.ndarray) -> _Object:
    radius = rng.uniform(0.2, 0.36 if count == 1 else 0.28)
    kind = rng.choice(["polygon", "ellipse", "blob"])
    angles = np.linspace(0, 2 * np.pi, 72, endpoint=False)
    wobble, wobble_phase = 0.0, 0.0 * angles
    if kind == "polygon":
        corners = int(rng.integers(3, 7))
        angles = (np.arange(corners) + rng.uniform(-0.25, 0.25, corners)) * 2 * np.pi / corners
        distance = radius * rng.uniform(0.85, 1.25, corners)
        wobble_phase = 0.0 * angles
    elif kind == "ellipse":
        distance = radius / np.hypot(np.cos(angles), np.sin(angles) * rng.uniform(1.0, 1.7))
    else:
        waves = np.arange(2, 5)
        distance = radius * (
            1 + np.cos(angles[:, None] * waves + rng.uniform(0, 6.3, 3)) @ rng.uniform(0.02, 0.12, 3)
        )
        wobble, wobble_phase = rng.uniform(0.03, 0.1), angles * int(rng.integers(2, 4))
    swing = rng.uniform(0.25, 0.9, 2) * half
    motion = _Motion(
        centre=rng.uniform(-1, 1, 2) * np.maximum(0.95 * half - swing, 0.05),
        drift=np.zeros(2),
        swing=swing,
        pace=rng.uniform(0.04, 0.11, 4) * rng.choice([-1, 1], 4),
        phase=rng.uniform(0, 2 * np.pi, 4),
        angle=rng.uniform(0, 2 * np.pi),
        turn=rng.uniform(0.2, 1.0),
        zoom=rng.uniform(0.0, 0.15),
    )
    colours = _palette(rng, hue + rng.uniform(0.2, 0.8), saturation + rng.uniform(0.25, 0.4))
    outline = distance[:, None] * np.stack([np.cos(angles), np.sin(angles)], -1)
    return _Object(outline, wobble, wobble_phase, _texture(rng, colours), motion)


def _palette(rng, hue: float, saturation: float) -> Float32[np.ndarray, "3 3"]:
    """Three RGB colours (0..255) about a hue and a saturation, from dark to light."""
    values = [rng.uniform(0.25, 0.5), rng.uniform(0.5, 0.75), rng.uniform(0.7, 1.0)]
    near = rng.uniform(-1, 1, (3, 2)) * (0.05, 0.06)
    colours = [
        colorsys.hsv_to_rgb((hue + h) % 1, float(np.clip(saturation + s, 0, 1)), v)
        for (h, s), v in zip(near, values, strict=True)
    ]
    return 255 * np.array(colours, np.float32)


def _texture(rng, palette: np.ndarray) -> UInt8[np.ndarray, "tile tile 3"]:
    """A picture that repeats without a seam: noise, stripes or checkers through a palette."""
    x = np.arange(_TILE, dtype=np.float32)
    y = x[:, None]
    bend = 1.2 * _noise(rng, 14.0)
    waves = (rng.choice([-1, 1], 2) * rng.integers(3, 9, 2) * 2 * np.pi / _TILE).astype(np.float32)
    kind = rng.choice(["noise", "stripes", "checkers"])
    if kind == "noise":
        field = 0.5 + 0.28 * _noise(rng, rng.uniform(3, 8))
    elif kind == "stripes":
        field = 0.5 + 0.5 * np.sin(waves[0] * x + waves[1] * y + bend)
    else:
        field = 0.5 + 0.5 * np.tanh(4 * np.sin(waves[0] * x + bend) * np.sin(waves[1] * y + bend))
    level = np.rint(np.clip(field + 0.06 * _noise(rng, 1.2), 0, 1) * 255).astype(np.uint8)
    steps = np.linspace(0, len(palette) - 1, 256)
    shades = np.stack([np.interp(steps, np.arange(len(palette)), channel) for channel in palette.T], -1)
    return np.rint(shades).astype(np.uint8)[level]


def _spotted(rng, tile: np.ndarray, colour: np.ndarray) -> UInt8[np.ndarray, "tile tile 3"]:
    result = tile.astype(np.float32)
    for _ in range(8):
        centre, radius = rng.uniform(0, _TILE, (2, 1)), rng.uniform(2.0, 4.0)
        dy, dx = np.abs((np.arange(_TILE) - centre + _TILE / 2) % _TILE - _TILE / 2)
        cover = np.clip(radius + 0.5 - np.hypot(dy[:, None], dx), 0, 1)[..., None]
        result += cover * (colour - result)
    return np.rint(result).astype(np.uint8)


def _noise(rng, sigma: float) -> Float32[np.ndarray, "tile tile"]:
    """Smooth noise of mean 0 and deviation 1 that repeats without a seam."""
    gain = np.exp(-2 * (np.pi * sigma * np.fft.fftfreq(_TILE)) ** 2).astype(np.float32)
    spectrum = np.fft.rfft2(rng.standard_normal((_TILE, _TILE), dtype=np.float32))
    smooth = np.fft.irfft2(spectrum * gain[:, None] * gain[: _TILE // 2 + 1], s=(_TILE, _TILE))
    return ((smooth - smooth.mean()) / smooth.std()).astype(np.float32)


def _look_up(
    tile: np.ndarray, pixels: np.ndarray, centre: np.ndarray, angle: float, zoom: float
) -> np.ndarray:
    """The texture as seen at `pixels` [h, w, 2] (short edges from the frame's centre) when it lies so."""
    turn = (_rotation(angle) / zoom * _DETAIL).astype(np.float32)
    # Kept small: float32 maps would lose their fraction in long videos.
    origin = np.mod(-turn @ centre, _TILE)
    place = (pixels @ turn.T + origin).astype(np.float32)
    return cv2.remap(tile, place[..., 0], place[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)


def _cover(corners: np.ndarray, size: tuple[int, int]) -> Float32[np.ndarray, "h w"]:
    """The share of each pixel inside an outline [points, 2] (short edges from the frame's centre)."""
    height, width = size
    fine = (corners * min(size) + (width / 2, height / 2)) * _FINE - 0.5
    canvas = np.zeros((height * _FINE, width * _FINE), np.uint8)
    cv2.fillPoly(canvas, [np.rint(fine * 16).astype(np.int32)], 255, shift=4)
    return cv2.resize(canvas, (width, height), interpolation=cv2.INTER_AREA).astype(np.float32) / 255


def _rotation(angle: float) -> np.ndarray:
    return np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])


def _direction(rng) -> np.ndarray:
    angle = rng.uniform(0, 2 * np.pi)
    return np.array([np.cos(angle), np.sin(angle)])
