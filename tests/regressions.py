"""Problems of the kinds that have tripped convolution libraries, each named for what is odd about it.

The kinds are those of the test lists of oneDNN, XNNPACK and PyTorch; the numbers are ours. It knows no answers.
"""

from problems import MODES, Problem

_ONE = {"pt": 1, "pb": 1, "pl": 1, "pr": 1}
_TWO = {"pt": 2, "pb": 2, "pl": 2, "pr": 2}
_PIXEL = {"h": 1, "w": 1, "kh": 1, "kw": 1}
_UNEVEN = {"pt": 1, "pb": 4, "pl": 3, "pr": 2}
_LONG = {"pt": 11, "pb": 8, "pl": 9, "pr": 7}
_STEPS = {"sh": 2, "sw": 3, "dh": 3, "dw": 2}

REGRESSIONS = [
    # Nothing much.
    Problem(name="one number", **_PIXEL),
    Problem(name="one pixel of many channels", c=37, f=29, **_PIXEL),
    Problem(name="one pixel under a padded filter", c=4, g=2, f=3, h=1, w=1, **_ONE),
    Problem(name="no image", n=0, c=4, g=4, h=6, w=6, **_ONE),
    Problem(name="no image, dense", n=0, c=5, f=4, h=6, w=6, **_ONE),
    Problem(name="no cell, only padding", c=3, g=3, f=2, h=0, w=0, pt=2, pb=2, pl=3, pr=1, value=1.5),
    Problem(name="no rows", n=2, c=4, g=2, f=2, h=0, w=7, pt=3, pb=1, value=-2.0),
    Problem(name="no columns", n=2, c=4, f=2, h=5, w=0, pl=4, pr=0, value=3.0),
    # Planes that are thin, odd, or just beside a vector's length.
    Problem(name="one column", c=6, g=3, f=2, h=33, w=1, kh=5, kw=1, pt=2, pb=2),
    Problem(name="one row", c=6, g=3, f=2, h=1, w=35, kh=1, kw=5, pl=2, pr=2),
    Problem(name="one column under a wide filter", c=3, g=3, h=9, w=1, kh=3, kw=5, pl=2, pr=2, pt=1, pb=1),
    *[Problem(name=f"width {w}, channel-wise", c=5, g=5, h=6, w=w, **_ONE) for w in (7, 8, 9, 15, 16, 17, 33, 65)],
    *[Problem(name=f"width {w}, two groups", c=6, g=2, f=5, h=5, w=w, **_ONE) for w in (7, 8, 9, 15, 17, 33, 49)],
    Problem(name="prime everything", n=2, c=21, g=3, f=11, h=13, w=17, kh=5, kw=3, sh=2, sw=3, **_ONE),
    # Channels and filters at the tails of tiles.
    *[Problem(name=f"{f} filters", c=3, f=f, h=5, w=7, **_ONE) for f in (2, 5, 7, 13, 17, 64)],
    *[Problem(name=f"{c} channels, channel-wise", c=c, g=c, h=6, w=5, **_ONE) for c in (1, 7, 8, 9, 31, 65)],
    Problem(name="depth multiplier 2", c=7, g=7, f=2, h=9, w=9, **_ONE),
    Problem(name="depth multiplier 9", c=3, g=3, f=9, h=8, w=9, **_ONE),
    Problem(name="depth multiplier 3, channels last", c=20, g=20, f=3, h=9, w=19, memory="NHWC", **_ONE),
    Problem(name="channels last, planes that are turned in pieces", n=2, c=19, g=19, h=40, w=61, kh=5, kw=7, pt=2,
            pb=2, pl=3, pr=3, memory="NHWC"),
    Problem(name="classes of pixels laid out one by one", n=2, c=61, f=20, h=31, w=29, kh=1, kw=1),
    Problem(name="depth multiplier 2, channels last, with gaps", c=17, g=17, f=2, h=13, w=40, kh=3, kw=5, dh=2, dw=3,
            pt=2, pb=1, pl=5, pr=6, memory="NHWC"),
    Problem(name="depth multiplier 4, channels last, strided", c=70, g=70, f=4, h=11, w=37, sh=2, sw=2, memory="NHWC",
            **_ONE),
    Problem(name="channels last, pixels that compete in caches", c=64, g=64, h=9, w=48, memory="NHWC", **_ONE),
    Problem(name="rings with phases that no tap meets", c=2, g=2, h=1, w=35, kh=7, kw=6, sh=2, sw=2, dh=2, dw=2, pt=7,
            pb=6, pl=6, pr=1, mode="circular"),
    Problem(name="many groups of 4", c=128, g=32, f=4, h=7, w=7, **_ONE),
    Problem(name="groups of 24", c=48, g=2, f=24, h=7, w=6, **_ONE),
    Problem(name="more filters than channels", c=2, f=70, h=8, w=8, kh=5, kw=5),
    Problem(name="more channels than filters", c=150, f=2, h=6, w=6, **_ONE),
    Problem(name="1 x 1, cells that are gathered", n=2, c=70, f=50, h=9, w=7, kh=1, kw=1),
    Problem(name="1 x 1 with stride 2, cells that are gathered", c=66, g=2, f=49, h=9, w=23, kh=1, kw=1, sh=2, sw=2),
    # Filters.
    Problem(name="filter as large as the input", c=4, g=2, f=3, h=9, w=11, kh=9, kw=11),
    Problem(name="filter as large as the padded input", c=4, g=4, h=5, w=6, kh=9, kw=11, pt=2, pb=2, pl=2, pr=3),
    Problem(name="31 x 31, channel-wise", c=2, g=2, h=9, w=10, kh=31, kw=31, pt=15, pb=15, pl=15, pr=15),
    Problem(name="13 x 13, strided", c=4, g=2, f=2, h=20, w=19, kh=13, kw=13, sh=4, sw=4, pt=6, pb=6, pl=6, pr=6),
    Problem(name="4 x 4", c=4, g=4, h=10, w=11, kh=4, kw=4, pt=1, pb=2, pl=1, pr=2),
    Problem(name="9 x 1", c=4, g=4, h=18, w=18, kh=9, kw=1, pt=4, pb=4),
    Problem(name="1 x 9", c=4, g=4, h=18, w=18, kh=1, kw=9, pl=4, pr=4),
    Problem(name="2 x 2 with stride 2", c=4, f=4, h=8, w=8, kh=2, kw=2, sh=2, sw=2),
    Problem(name="7 x 7 stem with stride 2", c=3, f=16, h=30, w=29, kh=7, kw=7, sh=2, sw=2, pt=3, pb=3, pl=3, pr=3),
    # Strides and dilations.
    Problem(name="stride larger than the filter", c=4, g=2, f=2, h=17, w=19, sh=5, sw=4, kh=2, kw=3),
    Problem(name="stride larger than the input", c=4, g=4, h=5, w=6, sh=100, sw=7, **_ONE),
    Problem(name="stride in one direction", c=6, g=6, h=12, w=13, sh=1, sw=2, **_ONE),
    Problem(name="stride that leaves rows over", c=4, g=2, f=2, h=12, w=13, sh=3, sw=4, kh=2, kw=2),
    Problem(name="stride as large as the filter, padded behind", c=4, f=14, h=5, w=11, sh=3, sw=3, pb=1, pr=2),
    Problem(name="1 x 1 with stride 2", c=12, g=3, f=8, h=9, w=10, kh=1, kw=1, sh=2, sw=2),
    Problem(name="1 x 1 with padding", c=6, f=5, h=4, w=4, kh=1, kw=1, pt=1, pb=2, pl=3, pr=0, value=2.0),
    Problem(name="dilation that steps over the input", c=3, g=3, h=4, w=5, dh=7, dw=9, pt=12, pb=6, pl=10, pr=12),
    Problem(name="dilation and stride share a factor", c=4, g=2, f=2, h=15, w=16, dh=2, dw=4, sh=2, sw=2, pt=3, pl=2),
    Problem(name="dilation and stride share none", c=4, g=2, f=2, h=15, w=16, dh=3, dw=2, sh=2, sw=3, pb=4, pr=4),
    Problem(name="dilation of a filter with one cell", c=3, g=3, h=4, w=4, kh=1, kw=1, dh=50, dw=50),
    # Padding.
    Problem(name="taps that see only padding", c=2, g=2, h=3, w=3, kh=2, kw=2, pt=5, pb=5, pl=5, pr=5, value=0.5),
    Problem(name="padding on one side only", c=3, f=2, h=6, w=6, pl=7),
    Problem(name="padding that the stride never reaches", c=2, f=2, h=6, w=6, sh=3, sw=3, pb=1, pr=2),
    *[Problem(name=f"{m}, every side different", c=4, g=2, f=2, h=7, w=6, mode=m, **_UNEVEN) for m in MODES],
    *[Problem(name=f"{m}, pads many times the input", c=2, g=2, h=3, w=2, mode=m, **_LONG) for m in MODES],
    *[Problem(name=f"{m}, strided and dilated", c=3, f=2, h=7, w=8, mode=m, **_UNEVEN, **_STEPS) for m in MODES],
    *[Problem(name=f"{m}, one row", c=2, g=2, f=2, h=1, w=6, mode=m, **_TWO) for m in MODES],
    # Long sums.
    Problem(name="a weight gradient of several chunks", n=3, c=2, g=2, h=70, w=67, **_ONE),
    Problem(name="a weight gradient whose rows are longer than a chunk", c=1, f=2, h=3, w=4200, kh=1, kw=2),
    Problem(name="a chunk that ends at an image's end", n=4, c=2, f=2, h=66, w=66),
    Problem(name="1 x 1 of many filters, several images to a chunk", n=6, c=70, f=35, h=27, w=28, kh=1, kw=1),
    Problem(name="1 x 1 of many filters, padded, strided", n=2, c=19, f=19, h=12, w=37, kh=1, kw=1, sh=2, sw=2, **_ONE),
    Problem(name="19 channels whose filter rows must not be cut", c=19, f=8, h=13, w=21, **_ONE),
    # Enough work for several threads.
    Problem(name="many images", n=9, c=8, g=8, h=18, w=17, kh=5, kw=5, **_TWO),
    Problem(name="many filters", c=32, g=2, f=40, h=9, w=10, **_ONE),
    Problem(name="one large plane", c=1, f=4, h=95, w=100, kh=4, kw=3, **_ONE),
    Problem(name="long rows", c=8, g=4, f=4, h=3, w=900, **_ONE),
]
