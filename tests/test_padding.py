"""Padding: what stands around an image, alone and under a filter. It must not know how gradients treat it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import cgconv
from problems import MODES
from reference import NUMPY_MODE

MATRIX = np.array([[3, 1, 4], [1, 5, 9], [2, 6, 5]], np.float32)
GOLDEN = {
    7: """
        7 7 7 7 7 7 7
        7 7 7 7 7 7 7
        7 7 3 1 4 7 7
        7 7 1 5 9 7 7
        7 7 2 6 5 7 7
        7 7 7 7 7 7 7
        7 7 7 7 7 7 7""",
    "symmetric-include-edge": """
        5 1 1 5 9 9 5
        1 3 3 1 4 4 1
        1 3 3 1 4 4 1
        5 1 1 5 9 9 5
        6 2 2 6 5 5 6
        6 2 2 6 5 5 6
        5 1 1 5 9 9 5""",
    "symmetric-exclude-edge": """
        5 6 2 6 5 6 2
        9 5 1 5 9 5 1
        4 1 3 1 4 1 3
        9 5 1 5 9 5 1
        5 6 2 6 5 6 2
        9 5 1 5 9 5 1
        4 1 3 1 4 1 3""",
    "replicate": """
        3 3 3 1 4 4 4
        3 3 3 1 4 4 4
        3 3 3 1 4 4 4
        1 1 1 5 9 9 9
        2 2 2 6 5 5 5
        2 2 2 6 5 5 5
        2 2 2 6 5 5 5""",
    "circular": """
        5 9 1 5 9 1 5
        6 5 2 6 5 2 6
        1 4 3 1 4 3 1
        5 9 1 5 9 1 5
        6 5 2 6 5 2 6
        1 4 3 1 4 3 1
        5 9 1 5 9 1 5""",
}


def golden(value):
    return np.array(GOLDEN[value].split(), np.float32).reshape(7, 7)


def as_numpy_pads(x, padding, value):
    t, b, l, r = padding
    more = {"constant_values": value} if not isinstance(value, str) else {}
    mode = NUMPY_MODE[value] if isinstance(value, str) else "constant"
    return np.pad(x, ((0, 0), (0, 0), (t, b), (l, r)), mode, **more)


@pytest.mark.parametrize("value", GOLDEN)
def test_the_matrix_of_the_manual_is_padded_as_shown(value):
    padded = cgconv.pad2d(MATRIX[None, None], 2, value)
    assert padded.dtype == np.float32
    assert np.array_equal(padded[0, 0], golden(value))


@pytest.mark.parametrize("value", GOLDEN)
def test_a_convolution_reads_the_padding_as_shown(value):
    for u, v in np.ndindex(3, 3):
        weight = np.zeros((1, 1, 3, 3), np.float32)
        weight[0, 0, u, v] = 1
        y = cgconv.conv2d(MATRIX[None, None], weight, padding=2, padding_value=value)
        assert np.array_equal(y[0, 0], golden(value)[u : u + 5, v : v + 5])


@pytest.mark.parametrize("value", GOLDEN)
@pytest.mark.parametrize("pads", [(2, 0, 0, 0), (0, 2, 0, 0), (0, 0, 2, 0), (0, 0, 0, 2), (1, 2, 0, 1)])
def test_the_four_sides_are_padded_each_for_itself(value, pads):
    t, b, l, r = pads
    y = cgconv.conv2d(MATRIX[None, None], np.ones((1, 1, 1, 1), np.float32), padding=pads, padding_value=value)
    assert np.array_equal(y[0, 0], golden(value)[2 - t : 5 + b, 2 - l : 5 + r])


@given(
    x=hnp.arrays(
        np.float64, st.tuples(*[st.integers(1, 2)] * 2, *[st.integers(1, 7)] * 2), elements=st.integers(-99, 99)
    ),
    pads=st.tuples(*[st.integers(0, 4) | st.integers(0, 40)] * 4),
    value=st.sampled_from((0, -2.5, *MODES[1:])),
)
def test_any_pad_of_any_axis_is_what_numpy_makes_of_it(x, pads, value):
    assert np.array_equal(cgconv.pad2d(x, pads, value), as_numpy_pads(x, pads, value))


@given(
    shape=st.tuples(*[st.integers(1, 6)] * 2),
    pads=st.tuples(*[st.integers(0, 30)] * 4),
    value=st.sampled_from((1.5, *MODES[1:])),
    algorithm=st.sampled_from(("auto", "reference")),
)
def test_a_convolution_with_a_pad_longer_than_the_axis_goes_on_as_numpy_does(shape, pads, value, algorithm):
    x = np.random.default_rng(0).integers(-9, 10, (1, 2, *shape)).astype(np.float64)
    weight = np.array([[[[1.0]]], [[[-2.0]]]])
    y = cgconv.conv2d(x, weight, padding=pads, padding_value=value, groups=2, algorithm=algorithm)
    assert np.array_equal(y, as_numpy_pads(x, pads, value) * [[[1.0]], [[-2.0]]])


def test_an_axis_of_one_cell_repeats_it_when_the_edge_is_excluded():
    x = np.array([5, 7], np.float32).reshape(1, 1, 1, 2)
    assert np.array_equal(
        cgconv.pad2d(x, (2, 1, 0, 3), "symmetric-exclude-edge")[0, 0], np.tile(np.float32([5, 7, 5, 7, 5]), (4, 1))
    )
    y = cgconv.conv2d(
        x, np.ones((1, 1, 3, 1), np.float32), padding=(1, 1, 0, 0), padding_value="symmetric-exclude-edge"
    )
    assert np.array_equal(y, 3 * x)


@pytest.mark.parametrize("value", MODES[1:])
@pytest.mark.parametrize("shape", [(1, 1, 0, 4), (1, 1, 4, 0)])
def test_an_empty_axis_has_nothing_to_pad_with(value, shape):
    with pytest.raises(ValueError, match="no cell"):
        cgconv.pad2d(np.ones(shape), 1, value)
    with pytest.raises(ValueError, match="no cell"):
        cgconv.conv2d(np.ones(shape), np.ones((1, 1, 1, 1)), padding=1, padding_value=value)


@pytest.mark.parametrize("shape", [(2, 3, 0, 4), (2, 3, 4, 0), (2, 3, 0, 0)])
def test_a_constant_pad_of_an_empty_axis_gives_the_constant(shape):
    x, side = np.ones(shape), (shape[2] + 3, shape[3] + 3)
    assert np.array_equal(cgconv.pad2d(x, (1, 2, 2, 1), 4), as_numpy_pads(x, (1, 2, 2, 1), 4))
    y = cgconv.conv2d(x, np.ones((3, 1, 1, 1)), padding=(1, 2, 2, 1), padding_value=4, groups=3)
    assert y.shape == (2, 3, *side)
    assert np.array_equal(y, as_numpy_pads(x, (1, 2, 2, 1), 4))
    dx = cgconv.conv2d_backward_input(
        y, np.ones((3, 1, 1, 1)), shape, padding=(1, 2, 2, 1), padding_value=4, groups=3
    )
    assert dx.shape == shape


def test_a_pad_of_nothing_changes_nothing():
    x = np.random.default_rng(0).standard_normal((2, 3, 4, 5))
    for value in (0, 3, *MODES[1:]):
        assert np.array_equal(cgconv.pad2d(x, 0, value), x)


@pytest.mark.parametrize("layout", ["NHWC", "HWC", "CHW", "SSCB", "BSSCT"])
def test_the_pads_go_with_the_spatial_axes_of_every_layout(layout):
    axes = {"NHWC": "BSSC", "HWC": "SSC", "CHW": "CSS"}.get(layout, layout)
    x = np.arange(float(np.prod(range(2, 2 + len(axes))))).reshape(range(2, 2 + len(axes)))
    spatial = iter([(1, 2), (3, 4)])
    pads = [next(spatial) if axis == "S" else (0, 0) for axis in axes]
    padded = cgconv.pad2d(x, (1, 2, 3, 4), "symmetric-exclude-edge", layout=layout)
    assert np.array_equal(padded, np.pad(x, pads, "reflect"))
