"""pad2d: any data type, every rule and every number, as numpy.pad does it."""

import math

import numpy as np
import pytest

import cgconv

NUMPY_MODES = {
    "symmetric-include-edge": "symmetric",
    "symmetric-exclude-edge": "reflect",
    "replicate": "edge",
    "circular": "wrap",
}


@pytest.mark.parametrize(
    "dtype", ["float32", "float64", "uint8", "int64", "bool", "complex64", ">f8", "U3", "datetime64[s]"]
)
@pytest.mark.parametrize("value", NUMPY_MODES)
def test_pad2d_pads_any_type_as_numpy_does(dtype, value):
    x = np.arange(24).reshape(2, 3, 4).astype(dtype)
    padded = cgconv.pad2d(x, (3, 1, 0, 9), value, layout="CSS")
    assert padded.dtype == x.dtype
    assert np.array_equal(padded, np.pad(x, ((0, 0), (3, 1), (0, 9)), mode=NUMPY_MODES[value]))


@pytest.mark.parametrize(
    "dtype, value",
    [
        ("float32", 2.5),
        ("uint8", 255),
        ("int8", -128),
        ("bool", True),
        ("complex64", 1 + 2j),
        ("float64", math.nan),
        ("float32", math.inf),
        ("int64", 2**62),
        ("int16", 3.0),
    ],
)
def test_pad2d_fills_with_a_number(dtype, value):
    x = np.ones((1, 2, 3, 1), dtype)
    padded = cgconv.pad2d(x, (1, 2), value, layout="NHWC")
    assert padded.dtype == x.dtype and padded.shape == (1, 4, 7, 1)
    assert np.array_equal(
        padded, np.pad(x, ((0, 0), (1, 1), (2, 2), (0, 0)), constant_values=value), equal_nan=x.dtype.kind == "f"
    )


def test_pad2d_keeps_the_order_in_memory():
    x = np.asfortranarray(np.arange(24.0).reshape(2, 3, 4))
    assert cgconv.pad2d(x, 1, "replicate", layout="CSS").flags.f_contiguous
    assert cgconv.pad2d(x, 1, layout="CSS").flags.f_contiguous
    assert cgconv.pad2d(np.ascontiguousarray(x), 1, layout="CSS").flags.c_contiguous


def test_pad2d_of_nothing_with_a_number_is_all_that_number():
    assert cgconv.pad2d(np.empty((2, 0, 3)), 1, 7, layout="CSS").tolist() == [[[7] * 5] * 2] * 2


def test_pad2d_makes_a_new_array_even_without_padding():
    x = np.ones((1, 1, 2, 2))
    for value in (0, "circular"):
        padded = cgconv.pad2d(x, 0, value)
        assert padded.tolist() == x.tolist() and not np.shares_memory(padded, x)
