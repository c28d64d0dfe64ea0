"""Frames, masks, soft maps and array files: whatever the commands read of one such file."""

from functools import partial

import numpy as np
from PIL import Image

from vos3d_jax.errors import UserError
from vos3d_jax.evaluation.problems import BadResult
from vos3d_jax.evaluation.result_masks import read_map
from vos3d_jax.media import encodings, images, masks
from vos3d_jax.media.frames import open_frames
from vos3d_jax.media.netpbm import read_netpbm

_PICTURES = [
    ("rgb.jpg", "RGB", {"quality": 80}),
    ("progressive.jpg", "RGB", {"progressive": True}),
    ("grey.jpg", "L", {}),
    ("cmyk.jpg", "CMYK", {}),
    ("rgb.png", "RGB", {}),
    ("rgba.png", "RGBA", {}),
    ("grey.png", "L", {}),
    ("grey_alpha.png", "LA", {}),
    ("bit.png", "1", {}),
    ("map.png", "I;16", {}),
    ("rgb.bmp", "RGB", {}),
    ("grey.bmp", "L", {}),
    ("rgb.ppm", "RGB", {}),
    ("codes.pgm", "L", {}),
    ("raw.tif", "RGB", {}),
    ("lzw.tif", "RGB", {"compression": "tiff_lzw"}),
    ("deflate.tif", "L", {"compression": "tiff_adobe_deflate"}),
    ("lossy.webp", "RGB", {}),
    ("lossless.webp", "RGBA", {"lossless": True}),
]
_TAGGED = (".jpg", ".png", ".tif", ".webp")
_READERS = (
    images.read_image,
    partial(images.read_image, upright=True),
    partial(images.image_size, upright=True),
    images.image_size,
    images.orientation,
    encodings.read_mask,
    masks.read_ids,
    masks.read_grey,
    read_map,
)


def samples(folder):
    rng = np.random.default_rng(0)
    frame = rng.integers(0, 256, (12, 20, 3), np.uint8)
    ids = np.repeat(rng.integers(0, 3, (12, 4), np.uint8), 5, 1)
    files = []
    for name, mode, options in _PICTURES:
        path = folder / name
        exif = Image.Exif()
        exif[0x0112] = 6
        tag = {"exif": exif} if path.suffix in _TAGGED else {}
        picture = Image.fromarray(ids.astype(np.uint16) * 300) if mode == "I;16" else Image.fromarray(frame)
        (picture if mode == "I;16" else picture.convert(mode)).save(path, **tag, **options)
        files.append(path)
    for name, options in (("palette.png", {}), ("transparent.png", {"transparency": b"\0\x80\xff"})):
        mask = Image.fromarray(ids)
        mask.putpalette(masks.PALETTE.tobytes())
        mask.save(folder / name, **options)
        files.append(folder / name)
    for name, save in (("array.npy", np.save), ("array.npz", np.savez_compressed)):
        save(folder / name, np.stack([frame, frame]))
        files.append(folder / name)
    return files


def read(path):
    readers = _READERS
    if path.suffix in (".npy", ".npz"):
        readers = (lambda path: list(open_frames(path).read()),)
    elif path.suffix in (".pgm", ".ppm"):
        readers = (*_READERS, read_netpbm)
    refused = []
    for reader in readers:
        try:
            reader(path)
        except (UserError, BadResult) as error:
            refused.append(str(error))
    if len(refused) == len(readers):
        raise UserError(max(refused, key=lambda line: line.count("\n")))
