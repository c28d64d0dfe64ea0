"""Facts of masks and of the published networks that several rooms need; nothing is imported here."""

# The id, in masks, of pixels that are neither object nor background and do not count.
VOID = 255

# Networks halve their frames five times: sides are multiples of this.
STRIDE = 32

_BOTTLENECKS = {14: (1, 1, 1, 1), 26: (2, 2, 2, 2), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
# {backbone: {depth: blocks of each stage}}; csn 14 and 26 and r2plus1d 10 are ours, for demos and tests.
BLOCKS = {
    "csn": _BOTTLENECKS,
    "resnet": {**_BOTTLENECKS, 200: (3, 24, 36, 3)},
    "r2plus1d": {10: (1, 1, 1, 1), 18: (2, 2, 2, 2), 34: (3, 4, 6, 3)},
}

# Of RGB 0..255: `mean` is subtracted, `std` divides. Those of Kinetics are VMZ's and torchvision's.
DCSEG_MEAN = (114.7748, 107.7354, 99.4750)
VMZ_INPUT = {
    "mean": (110.2008, 100.63983, 95.99475),
    "std": (58.14765, 56.46975, 55.332195),
}
IMAGENET_INPUT = {"mean": (123.675, 116.28, 103.53), "std": (58.395, 57.12, 57.375)}
