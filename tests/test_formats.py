"""Data formats: each axis is what its letter says, and arrays that a layout serves run where they stand in memory.

It must not know how a convolution is computed: arrays of one format are compared with the same arrays in another.
"""

import itertools

import numpy as np
import pytest

import cgconv
from cgconv import arrays, formats

WEIGHT = np.arange(-12, 12, dtype="float32").reshape(4, 1, 2, 3)  # 2 groups of 1 channel, 2 filters each
KEYWORDS = {"groups": 2, "stride": (2, 1), "padding": (1, 0, 2, 1), "padding_value": "symmetric-exclude-edge"}


def integers(*shape):
    """Small whole numbers, so that sums are exact in any order."""
    return np.random.default_rng(1).integers(-9, 10, shape).astype("float32")


def orders(letters, every=1):
    """The formats with these letters, or every so manieth of them."""
    return sorted({"".join(order) for order in itertools.permutations(letters)})[::every]


@pytest.fixture
def without_copies(monkeypatch):
    """From its call on, no array may be made: a run with `out` has to work where its arrays stand."""

    def refuse(shape, strides, dtype):
        raise AssertionError(f"an array of {shape} was made")

    return lambda: monkeypatch.setattr(arrays, "empty", refuse)


def in_order(array, axes):
    """The same array, with its axes in memory in this order, outermost first."""
    return np.ascontiguousarray(array.transpose(axes)).transpose(np.argsort(axes))


@pytest.mark.parametrize("alias, name", [("NCHW", "BCSS"), ("NHWC", "BSSC"), ("CHW", "CSS"), ("HWC", "SSC")])
def test_an_alias_names_the_same_axes(alias, name):
    a, b = formats.parse("layout", alias), formats.parse("layout", name)
    assert a.name == alias and b.name == name
    assert a[1:] == b[1:]


@pytest.mark.parametrize(
    "name, c, h, w, batch",
    [
        ("SSCB", 2, 0, 1, (3,)),
        ("SSCBT", 2, 0, 1, (3, 4)),
        ("SSCT", 2, 0, 1, (3,)),
        ("USSUC", 4, 1, 2, (0, 3)),
        ("SCS", 1, 0, 2, ()),
    ],
)
def test_all_but_s_and_c_are_batch_axes(name, c, h, w, batch):
    fmt = formats.parse("layout", name)
    assert (fmt.c, fmt.h, fmt.w, fmt.batch) == (c, h, w, batch)


@pytest.mark.parametrize(
    "name", ["", "SS", "SC", "SSCC", "SSSC", "SSCBB", "SSCTT", "nchw", "SSCX", "NCHWC", "S S C", 7, None]
)
def test_what_is_no_format_is_refused(name):
    with pytest.raises((ValueError, TypeError), match="layout=.*two S, one C"):
        cgconv.conv2d(np.ones((1, 2, 4, 4)), np.ones((2, 2, 1, 1)), layout=name)


@pytest.mark.parametrize("name", [*orders("BCSS"), *orders("BCSST", 9), *orders("BCSSTU", 40), *orders("CSS")])
def test_every_order_of_the_axes_gives_the_same_result_in_that_order(name):
    sizes = dict(zip("BTUC", (2, 3, 2, 2), strict=True))
    spatial = iter((5, 6))
    x = integers(*(next(spatial) if axis == "S" else sizes[axis] for axis in name))
    fmt = formats.parse("layout", name)
    axes = (*fmt.batch, fmt.c, fmt.h, fmt.w)
    y = cgconv.conv2d(x, WEIGHT, layout=name, **KEYWORDS)
    plain = np.ascontiguousarray(x.transpose(axes)).reshape(-1, 2, 5, 6)
    expected = cgconv.conv2d(plain, WEIGHT, **KEYWORDS)
    assert y.transpose(axes).reshape(expected.shape).tolist() == expected.tolist()

    dy = integers(*y.shape)
    plain_dy = np.ascontiguousarray(dy.transpose(axes)).reshape(expected.shape)
    dx = cgconv.conv2d_backward_input(dy, WEIGHT, x.shape, layout=name, **KEYWORDS)
    expected_dx = cgconv.conv2d_backward_input(plain_dy, WEIGHT, plain.shape, **KEYWORDS)
    assert dx.transpose(axes).reshape(plain.shape).tolist() == expected_dx.tolist()

    dw, db = cgconv.conv2d_backward_weight(x, dy, WEIGHT.shape, layout=name, **KEYWORDS)
    expected_dw, expected_db = cgconv.conv2d_backward_weight(plain, plain_dy, WEIGHT.shape, **KEYWORDS)
    assert dw.tolist() == expected_dw.tolist()
    assert db.tolist() == expected_db.tolist()


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
def test_every_order_in_memory_gives_the_same_result_in_that_order(order):
    x = integers(2, 2, 5, 6)
    expected = cgconv.conv2d(x, WEIGHT, **KEYWORDS)
    y = cgconv.conv2d(in_order(x, order), WEIGHT, **KEYWORDS)
    assert y.tolist() == expected.tolist()
    assert y.transpose(order).flags.c_contiguous
    dx = cgconv.conv2d_backward_input(in_order(y, order), WEIGHT, x.shape, **KEYWORDS)
    assert dx.tolist() == cgconv.conv2d_backward_input(expected, WEIGHT, x.shape, **KEYWORDS).tolist()
    assert dx.transpose(order).flags.c_contiguous


@pytest.mark.parametrize(
    "name, shape", [("NCHW", (2, 5, 6)), ("NHWC", (5, 6, 2)), ("SSCB", (5, 6, 2)), ("BSSC", (5, 6, 2))]
)
def test_an_image_without_a_batch_gives_a_result_without_one(name, shape):
    x = integers(*shape)
    batch = name.replace("N", "B").index("B")
    y = cgconv.conv2d(x, WEIGHT, layout=name, **KEYWORDS)
    assert (
        y.tolist() == cgconv.conv2d(np.expand_dims(x, batch), WEIGHT, layout=name, **KEYWORDS).squeeze(batch).tolist()
    )


@pytest.mark.parametrize("shape", [(5, 6), (2, 1, 2, 5, 6), (6,)])
def test_a_wrong_number_of_axes_is_refused(shape):
    with pytest.raises(
        ValueError, match=f"x has {len(shape)} axes: the format 'NCHW' takes 4, or 3 without the batch"
    ):
        cgconv.conv2d(integers(*shape), WEIGHT, **KEYWORDS)


def test_a_format_without_a_batch_takes_no_batch():
    with pytest.raises(ValueError, match="x has 4 axes: the format 'CHW' takes 3$"):
        cgconv.conv2d(integers(1, 2, 5, 6), WEIGHT, layout="CHW", **KEYWORDS)


CASES = {  # format, shape, order in memory, the layout that serves it
    "channel-first": ("NCHW", (3, 2, 5, 6), (0, 1, 2, 3), "NCHW"),
    "channel-last": ("NHWC", (3, 5, 6, 2), (0, 1, 2, 3), "NHWC"),
    "channel-last memory in a channel-first array": ("NCHW", (3, 2, 5, 6), (0, 2, 3, 1), "NHWC"),
    "MATLAB's images": ("SSCB", (5, 6, 2, 3), (3, 2, 1, 0), "NCWH"),
    "MATLAB's images of one channel": ("SSCB", (5, 6, 1, 3), (3, 2, 1, 0), "NCWH"),
    "MATLAB's image": ("SSC", (5, 6, 2), (2, 1, 0), "NCWH"),
    "MATLAB's videos": ("SSCBT", (5, 6, 2, 3, 2), (4, 3, 2, 1, 0), "NCWH"),
    "channels innermost, columns outermost": ("SSC", (5, 6, 2), (1, 0, 2), "NWHC"),
    "videos": ("BTCSS", (2, 3, 2, 5, 6), (0, 1, 2, 3, 4), "NCHW"),
    "videos, time outermost": ("BTSSC", (2, 3, 5, 6, 2), (1, 0, 2, 3, 4), "NHWC"),
    "one channel, where both would do": ("NHWC", (3, 5, 6, 1), (0, 1, 2, 3), "NCHW"),
    "columns of one pixel": ("NCHW", (3, 2, 5, 1), (0, 1, 2, 3), "NCHW"),
}


@pytest.mark.parametrize("name, shape, order, layout", CASES.values(), ids=CASES.keys())
def test_an_array_that_a_layout_serves_runs_where_it_stands(name, shape, order, layout, without_copies):
    x = in_order(integers(*shape), order)
    fmt = formats.parse("layout", name)
    channels = shape[fmt.c]
    weight = integers(channels, 1, 2, 3)  # as many channels out as in, so that one channel stays one
    keywords = {"layout": name, "groups": channels, "padding": 1}
    expected = cgconv.conv2d(x, weight, **keywords)
    assert expected.transpose(order).flags.c_contiguous
    y, dx = np.empty_like(expected), np.empty_like(x)
    assert y.strides == expected.strides and dx.strides == x.strides
    place = formats.place(fmt, 4, x.shape, y.shape, x.strides, y.strides)
    assert (place.layout, place.x.direct, place.y.direct) == (layout, True, True)
    expected_dx = cgconv.conv2d_backward_input(expected, weight, x.shape, **keywords)
    without_copies()
    assert cgconv.conv2d(x, weight, out=y, **keywords) is y
    assert y.tolist() == expected.tolist()
    assert cgconv.conv2d_backward_input(y, weight, x.shape, out=dx, **keywords) is dx
    assert dx.tolist() == expected_dx.tolist()
    cgconv.conv2d_backward_weight(x, y, weight.shape, **keywords)


CROPS = {
    "rows and columns": (slice(None), slice(None), slice(1, 6), slice(2, 8)),
    "some channels": (slice(None), slice(1, 3), slice(None), slice(3, 9)),
    "every other image, row and channel": (slice(0, None, 2), slice(0, 4, 2), slice(0, None, 2), slice(None)),
    "upside down": (slice(None, None, -1), slice(0, 2), slice(None, None, -1), slice(None)),
}


@pytest.mark.parametrize("crop", CROPS.values(), ids=CROPS.keys())
@pytest.mark.parametrize("order", [(0, 1, 2, 3), (0, 2, 3, 1), (0, 1, 3, 2), (0, 3, 2, 1)])
def test_a_crop_runs_where_it_stands(crop, order, without_copies):
    x = in_order(integers(4, 4, 8, 9), order)[crop]
    stands = x.strides[order[-1]] == x.itemsize
    keywords = {"groups": x.shape[1], "padding": 1}
    weight = integers(x.shape[1], 1, 3, 3)
    expected = cgconv.conv2d(np.ascontiguousarray(x), weight, **keywords)
    y = np.empty_like(cgconv.conv2d(x, weight, **keywords))
    if stands:
        without_copies()
    cgconv.conv2d(x, weight, out=y, **keywords)
    assert y.tolist() == expected.tolist()


def test_a_repeated_image_runs_where_it_stands(without_copies):
    x = np.broadcast_to(integers(1, 2, 5, 6), (3, 2, 5, 6))
    y = np.empty((3, 4, 4, 4), "float32")
    expected = cgconv.conv2d(x.copy(), WEIGHT, groups=2)
    without_copies()
    assert cgconv.conv2d(x, WEIGHT, groups=2, out=y).tolist() == expected.tolist()


def test_overlapping_windows_of_one_array_run_where_they_stand(without_copies):
    windows = np.lib.stride_tricks.sliding_window_view(integers(9, 6), (5, 6)).reshape(5, 1, 5, 6)
    assert np.shares_memory(windows[0], windows[1])
    y = np.empty((5, 4, 5, 6), "float32")
    expected = cgconv.conv2d(windows.copy(), WEIGHT, padding="same")
    without_copies()
    assert cgconv.conv2d(windows, WEIGHT, padding="same", out=y).tolist() == expected.tolist()


@pytest.mark.parametrize(
    "x",
    [
        integers(2, 2, 5, 12)[..., ::2],
        integers(2, 2, 5, 6)[..., ::-1],
        in_order(integers(2, 2, 5, 6), (1, 2, 3, 0)),
        integers(2, 2, 3, 2, 5, 6)[:, :, ::2].reshape(2, 4, 2, 5, 6)[:, :3],
    ],
    ids=["every other column", "mirrored columns", "batch innermost", "a batch of parts"],
)
def test_an_array_that_no_layout_serves_is_copied_and_gives_the_same(x):
    layout = "NCHW" if x.ndim == 4 else "BTCSS"
    y = cgconv.conv2d(x, WEIGHT, layout=layout, **KEYWORDS)
    assert y.tolist() == cgconv.conv2d(np.ascontiguousarray(x), WEIGHT, layout=layout, **KEYWORDS).tolist()


def test_batch_axes_that_do_not_merge_are_copied():
    fmt = formats.parse("layout", "BTCSS")
    x = integers(2, 4, 2, 5, 6)[:, :3]
    assert not formats.place(fmt, 4, x.shape, (2, 3, 4, 4, 4), x.strides, None).x.direct
    y = cgconv.conv2d(x, WEIGHT, layout="BTCSS", groups=2)
    assert y.tolist() == cgconv.conv2d(x.copy(), WEIGHT, layout="BTCSS", groups=2).tolist()


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
@pytest.mark.parametrize("x_order", [(0, 1, 2, 3), (0, 2, 3, 1), (3, 2, 1, 0)])
def test_an_output_may_lie_otherwise_than_the_input(x_order, order):
    x = in_order(integers(2, 2, 5, 6), x_order)
    expected = cgconv.conv2d(np.ascontiguousarray(x), WEIGHT, **KEYWORDS)
    out = in_order(np.empty(expected.shape, "float32"), order)
    assert cgconv.conv2d(x, WEIGHT, out=out, **KEYWORDS) is out
    assert out.tolist() == expected.tolist()


@pytest.mark.parametrize("shape", [(0, 2, 5, 6), (0, 2, 0, 6)])
@pytest.mark.parametrize("order", ["C", "F"])
def test_a_batch_of_nothing_gives_nothing(shape, order):
    x = np.empty(shape, "float32", order)
    y = cgconv.conv2d(x, WEIGHT, groups=2, padding=3)
    assert y.shape[:2] == (0, 4)
    assert cgconv.conv2d_backward_input(y, WEIGHT, shape, groups=2, padding=3).shape == shape
    dw, db = cgconv.conv2d_backward_weight(x, y, WEIGHT.shape, groups=2, padding=3)
    assert not dw.any() and not db.any()


def test_an_empty_image_is_all_padding():
    x = np.empty((2, 0, 6, 2), "float64")
    y = cgconv.conv2d(x, WEIGHT.astype("float64"), layout="NHWC", groups=2, padding=1, padding_value=2)
    assert y.shape == (2, 1, 6, 4)
    assert y[0, 0, 0].tolist() == (2 * WEIGHT.sum((1, 2, 3))).tolist()
    assert (
        cgconv.conv2d_backward_input(y, WEIGHT.astype("float64"), x.shape, layout="NHWC", groups=2, padding=1).shape
        == x.shape
    )


def test_the_layout_is_the_first_that_serves_both_arrays():
    def layout(x, y, name="NCHW"):
        fmt = formats.parse("layout", name)
        place = formats.place(fmt, 4, x.shape, y.shape, x.strides, y.strides)
        return place.layout, place.x.direct, place.y.direct

    def array(*shape, order=(0, 1, 2, 3)):
        return in_order(np.empty(shape, "float32"), order)

    point = array(2, 3, 1, 1)
    assert layout(point, array(2, 5, 1, 1)) == ("NCHW", True, True)
    assert layout(point, array(2, 5, 3, 3)) == ("NCHW", True, True)
    assert layout(point, array(2, 5, 3, 3, order=(0, 2, 3, 1))) == ("NHWC", True, True)
    assert layout(point, array(2, 5, 3, 3, order=(0, 1, 3, 2))) == ("NCWH", True, True)
    assert layout(point, array(2, 5, 3, 3, order=(0, 3, 2, 1))) == ("NWHC", True, True)
    assert layout(array(2, 3, 4, 4), array(2, 5, 3, 3, order=(3, 2, 1, 0))) == ("NCHW", True, False)
    assert layout(array(2, 3, 4, 4, order=(1, 2, 3, 0)), array(2, 5, 3, 3, order=(0, 2, 3, 1))) == (
        "NHWC",
        False,
        True,
    )
    assert layout(array(2, 3, 4, 4, order=(1, 2, 3, 0)), array(2, 5, 3, 3, order=(1, 2, 3, 0))) == (
        "NCHW",
        False,
        False,
    )
