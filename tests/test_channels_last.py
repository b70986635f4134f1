"""Channel-wise layers whose channels are neighbours in memory: every way through them has the bits of the definition.

They run on kernels of their own, whose tiles change with the filter, the extents and the number of channels. There is
no tolerance in this file.
"""

import pytest
from hypothesis import given, note
from hypothesis import strategies as st

from problems import MODES, Problem, arrays, assert_same_bits
from running import every_way, run

SAME = {1: 0, 2: 0, 3: 1, 4: 1, 5: 2, 7: 3, 9: 4, 13: 6}


def check(p, passes=("forward",)):
    data = arrays(p)
    for which in passes:
        want = run(p, which, *data, algorithm="reference")
        for isa, algorithm, threads in every_way(p, which):
            if algorithm != "reference":
                got = run(p, which, *data, isa=isa, algorithm=algorithm, threads=threads)
                for a, b in zip(got, want, strict=True):
                    assert_same_bits(a, b, p, which, isa, algorithm, f"{threads=}")


def channel_wise(c, kh, kw, **more):
    pads = {"pt": SAME[kh], "pb": SAME[kh], "pl": SAME[kw], "pr": SAME[kw]}
    return Problem(**{"c": c, "g": c, "h": 14, "w": 15, "kh": kh, "kw": kw, "memory": "NHWC"} | pads | more)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("c", [*range(1, 41), 90, 144, 257])
def test_every_number_of_channels(c, dtype):
    check(channel_wise(c, 3, 3, dtype=dtype), ("forward", "backward_input"))
    check(channel_wise(c, 5, 5, dtype=dtype, mode="symmetric-exclude-edge"))


@pytest.mark.parametrize("c", [3, 13, 24, 65])
@pytest.mark.parametrize(
    "k", [(1, 1), (2, 2), (3, 3), (4, 4), (5, 5), (7, 7), (1, 9), (9, 1), (13, 13), (3, 5), (7, 3)]
)
def test_every_filter(k, c):
    for w in (13, 30):
        for steps in ({}, {"sh": 2, "sw": 2}, {"sh": 3, "sw": 1}, {"dh": 2, "dw": 3}, {"sh": 2, "sw": 2, "dh": 2}):
            check(channel_wise(c, *k, h=27, w=w * 2, **steps), ("forward", "backward_input"))


@pytest.mark.parametrize("c", [3, 16, 40])
@pytest.mark.parametrize("mode", MODES)
def test_every_kind_of_padding(mode, c):
    uneven = {"pt": 1, "pb": 4, "pl": 5, "pr": 2}
    long = {"pt": 21, "pb": 18, "pl": 19, "pr": 17}
    check(channel_wise(c, 3, 3, mode=mode, **uneven))
    check(channel_wise(c, 5, 5, mode=mode, h=6, w=5, **long))
    check(channel_wise(c, 3, 3, mode="constant", value=1.5, dh=30, dw=40, pt=31, pb=30, pl=44, pr=41))


@pytest.mark.parametrize(
    "memory", ["NHWC", "NHWC crop", "NHWC with rows and columns exchanged", "HWCN in column-major order"]
)
@pytest.mark.parametrize("f", [1, 2, 3, 5, 70])
@pytest.mark.parametrize("c", [1, 3, 8, 24])
def test_several_filters_of_a_channel_and_odd_arrays(c, f, memory):
    for steps in ({}, {"sh": 2, "sw": 2}):
        check(channel_wise(c, 3, 3, f=f, memory=memory, n=2, lo=-0.5, hi=1.0, **steps))


@pytest.mark.parametrize("c", [3, 32])
def test_images_larger_than_any_block(c):
    """Rows and columns that a task cuts into pieces, with taps that lie far apart."""
    check(channel_wise(c, 3, 3, h=5, w=2400))
    check(channel_wise(c, 3, 3, h=700, w=4))
    check(channel_wise(c, 7, 7, h=120, w=130, mode="replicate"))
    check(channel_wise(c, 5, 5, h=9, w=1300, f=2))
    check(channel_wise(c, 3, 3, h=300, w=320, dh=140, dw=150))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("c", "g", "f"), [(4, 2, 32), (16, 16, 32), (6, 3, 40), (32, 16, 2), (12, 4, 100)])
def test_long_rows_of_many_outputs(c, g, f, dtype):
    """More results than are turned at a time, in rows as long as a task takes."""
    for w in (100, 512, 700):
        check(Problem(c=c, g=g, f=f, h=3, w=w, kh=3, kw=3, pt=1, pb=1, pl=1, pr=1, memory="NHWC", dtype=dtype))


def test_more_planes_than_one_sheet_holds():
    p = Problem(c=224, g=4, h=14, w=100, kh=5, kw=7, dh=3, dw=3, pt=2, pb=1, pr=1, memory="NHWC", dtype="float64")
    check(p)
    check(p.but(dtype="float32", c=448))


@given(st.data())
def test_random_problems(data):
    draw = data.draw
    k = st.integers(1, 7)
    p = Problem(
        n=draw(st.integers(0, 2)), h=draw(st.integers(8, 30)), w=draw(st.integers(8, 40)), kh=draw(k), kw=draw(k),
        sh=draw(st.integers(1, 3)), sw=draw(st.integers(1, 3)), dh=draw(st.integers(1, 2)), dw=draw(st.integers(1, 3)),
        pt=draw(st.integers(5, 9)), pb=draw(st.integers(0, 9)), pl=draw(st.integers(8, 11)), pr=draw(st.integers(3, 9)),
        mode=draw(st.sampled_from(MODES)), f=draw(st.sampled_from((1, 1, 2, 4))), bias=draw(st.booleans()),
        dtype=draw(st.sampled_from(("float32", "float64"))), memory=draw(st.sampled_from(("NHWC", "NHWC crop"))),
    )  # fmt: skip
    c = draw(st.integers(1, 40))
    p = p.but(c=c, g=c)
    note(p)
    check(p, ("forward", "backward_input"))
