"""Channel-wise planes that are turned to pixels and back: they have the bits of the definition.

That is how filters without a kernel of their own run where there are channels enough, and narrow planes under large
filters. There is no tolerance in this file.
"""

import pytest

from problems import MODES
from test_channels_last import channel_wise, check

BOTH = ("forward", "backward_input")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("c", [64, 65, 79, 80])
def test_channels_that_fill_their_vectors_or_not(c, dtype):
    check(channel_wise(c, 4, 4, h=9, w=9, memory="NCHW", dtype=dtype), BOTH)


@pytest.mark.parametrize("memory", ["NCHW", "NCHW crop", "NCHW flipped", "NCHW in column-major order"])
@pytest.mark.parametrize("k", [(7, 7), (9, 9), (2, 5), (13, 3)])
def test_arrays_of_any_strides(k, memory):
    for steps in ({}, {"sh": 2, "sw": 2}, {"sh": 3, "sw": 1}, {"dh": 2, "dw": 3}):
        pads = {"pt": 4, "pb": 5, "pl": 6, "pr": 7} if k != (13, 3) else {"pt": 9, "pb": 9}
        check(channel_wise(64, *k, memory=memory, n=2, **pads, **steps), BOTH)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("value", [0.0, -0.0, 1.5])
def test_every_kind_of_padding(mode, value):
    if mode == "constant" or value == 0:
        check(channel_wise(64, 9, 9, memory="NCHW", mode=mode, value=value, pt=9, pb=1, pl=3, pr=12))


@pytest.mark.parametrize("weight", ["inf", "-0.0"])
def test_rows_of_padding_count_like_any_other(weight):
    """They are not multiplied cell by cell; but an infinite weight makes NaN of a zero, and zeros have signs."""
    import numpy as np

    import cgconv

    x = np.full((1, 64, 8, 8), -0.0, "float32")
    w = np.full((64, 1, 9, 9), -0.0, "float32")
    w[1::2, 0, 0, 3] = float(weight)
    w[::3, 0, 8, 8] = 0.0
    bias = np.full(64, -0.0, "float32")
    keywords = {"padding": 4, "groups": 64, "padding_value": -0.0}
    want = cgconv.conv2d(x, w, bias, algorithm="reference", **keywords)
    got = cgconv.conv2d(x, w, bias, **keywords)
    assert np.array_equal(np.isnan(got), np.isnan(want))
    assert np.array_equal(np.signbit(got[~np.isnan(got)]), np.signbit(want[~np.isnan(want)]))
