"""Numbers that are not ordinary: NaN, infinities, signed zeros, denormals, overflow and integers.

Each test states the answer itself and tries it on every algorithm, instruction set and layout.
"""

import numpy as np
import pytest

import cgconv
from problems import MODES, Problem
from running import PASSES, every_way, run

KINDS = {
    "dense": {"c": 3, "f": 2},
    "grouped": {"c": 6, "g": 2, "f": 3},
    "channel-wise": {"c": 5, "g": 5},
    "1x1": {"c": 4, "g": 2, "f": 2, "kh": 1, "kw": 1},
    "strided": {"c": 4, "g": 2, "f": 2, "sh": 2, "sw": 3},
}
MEMORIES = ("NCHW", "NHWC", "HWCN in column-major order")


@pytest.fixture(params=KINDS)
def kind(request):
    return KINDS[request.param]


def each(which, p, x=None, weight=None, bias=None, dy=None):
    """The results of the pass, one for every layout, instruction set and algorithm."""
    for memory in MEMORIES:
        q = p.but(memory=memory)
        for isa, algorithm, _ in every_way(q, which, threads=(1,)):
            yield run(q, which, x, weight, bias, dy, isa=isa, algorithm=algorithm)[0], f"{q!r} {isa} {algorithm}"


def ones(shape, dtype="float32"):
    return np.ones(shape, dtype)


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
def test_a_number_that_is_not_finite_reaches_the_outputs_that_see_it_and_no_others(kind, number):
    p = Problem(n=2, h=9, w=20, bias=False).but(**kind)
    x = np.zeros(p.x_shape, np.float32)
    x[1, 1, 4, 7] = number
    seen = np.zeros(p.y_shape, bool)
    group = 1 // (p.c // p.g)
    for i, j in np.ndindex(p.oh, p.ow):
        if 0 <= 4 - i * p.sh < p.kh and 0 <= 7 - j * p.sw < p.kw:
            seen[1, group * p.f : (group + 1) * p.f, i, j] = True
    for y, case in each("forward", p, x, ones(p.weight_shape)):
        assert np.array_equal(y, np.where(seen, number, 0), equal_nan=True), case


@pytest.mark.parametrize("mode", ["constant", *MODES[1:]])
def test_zero_times_infinity_in_the_padding_is_not_a_number(kind, mode):
    """The padding takes part like any other cell, also where its weight is infinite and its value 0."""
    p = Problem(h=6, w=21, pt=1, pb=1, pl=1, pr=1, mode=mode, bias=False).but(**kind)
    weight = ones(p.weight_shape)
    weight[:, 0, 0, 0] = np.inf
    for y, case in each("forward", p, np.zeros(p.x_shape, np.float32), weight):
        assert np.isnan(y).all(), case
    if mode == "constant":
        x = ones(p.x_shape)
        for y, case in each("forward", p, x, weight):
            assert np.isnan(y[:, :, 0]).all(), case
            assert np.isnan(y[:, :, :, 0]).all(), case
            assert (y[:, :, 1:, 1:][:, :, : 6 // p.sh, : 21 // p.sw] == np.inf).all(), case


def test_an_infinite_padding_value_times_a_weight_of_zero_is_not_a_number(kind):
    p = Problem(h=6, w=21, pt=2, pb=2, pl=2, pr=2, value=np.inf, bias=False).but(**kind)
    for y, case in each("forward", p, ones(p.x_shape), np.zeros(p.weight_shape, np.float32)):
        assert np.isnan(y[:, :, 0]).all(), case
        inside = y[:, :, -(-2 // p.sh) : (8 - p.kh) // p.sh + 1, -(-2 // p.sw) : (23 - p.kw) // p.sw + 1]
        assert inside.size, case
        assert (inside == 0).all(), case


def test_an_infinite_weight_makes_the_gradient_of_cells_beyond_every_output_not_a_number():
    """Outside its extent dy counts as 0, and takes part: 0 times infinity."""
    p = Problem(c=2, g=2, h=5, w=6, pt=1, pl=1, bias=False)
    weight = ones(p.weight_shape)
    weight[:, :, 2, 2] = np.inf
    want = np.full(p.x_shape, np.inf, np.float32)
    want[:, :, :1] = want[:, :, :, :1] = np.nan
    for dx, case in each("backward_input", p, None, weight, None, ones(p.y_shape)):
        assert np.array_equal(dx, want, equal_nan=True), case


@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_a_gradient_that_is_not_finite_reaches_only_its_own_filter_and_group(number):
    p = Problem(n=2, c=4, g=2, f=2, h=6, w=19, pt=1, pl=1, bias=False)
    dy = np.zeros(p.y_shape, np.float32)
    dy[1, 2, 3, 5] = number
    x = ones(p.x_shape)
    want = np.zeros(p.weight_shape, np.float32)
    want[2] = number
    for dw, case in each("backward_weight", p, x, None, None, dy):
        assert np.array_equal(dw, want, equal_nan=True), case
    want = np.zeros(p.x_shape, np.float32)
    want[1, 2:, 2:5, 4:7] = number
    for dx, case in each("backward_input", p, None, ones(p.weight_shape), None, dy):
        assert np.array_equal(dx, want, equal_nan=True), case


def test_the_sign_of_a_zero_is_kept(kind):
    """A sum that starts at the bias -0 and adds only -0 stays -0; without a bias it starts at +0, and +0 - 0 = +0."""
    p = Problem(h=7, w=22).but(**kind)
    x, weight = np.full(p.x_shape, -0.0, np.float32), ones(p.weight_shape)
    for y, case in each("forward", p, x, weight, np.full(p.g * p.f, -0.0, np.float32)):
        assert np.signbit(y).all(), case
        assert not y.any(), case
    for y, case in each("forward", p, x, weight):
        assert not np.signbit(y).any(), case


def test_a_padding_value_of_minus_zero_is_minus_zero():
    p = Problem(h=0, w=0, kh=1, kw=1, pt=2, pl=9, value=-0.0)
    for y, case in each("forward", p, ones(p.x_shape), ones(p.weight_shape), np.full(1, -0.0, np.float32)):
        assert np.signbit(y).all(), case


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_denormals_are_neither_flushed_to_zero_nor_taken_as_zero(kind, dtype):
    p = Problem(h=7, w=22, bias=False, dtype=dtype).but(**kind)
    least = np.finfo(dtype).smallest_subnormal
    taps = p.c // p.g * p.kh * p.kw
    x, weight = np.full(p.x_shape, least, dtype), ones(p.weight_shape, dtype)
    for y, case in each("forward", p, x, weight):
        assert (y == taps * least).all(), case
    dy = np.zeros(p.y_shape, dtype)
    dy[:, :, 0, 0] = least
    for dx, case in each("backward_input", p, None, weight, None, dy):
        assert (dx[:, :, : p.kh, : p.kw] == p.f * least).all(), case
    for dw, case in each("backward_weight", p, ones(p.x_shape, dtype), None, None, dy):
        assert (dw == least).all(), case


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_sum_too_large_becomes_infinite_and_one_that_comes_back_does_not(kind, dtype):
    """A product overflows only when it is rounded: 2 * huge - huge is finite in a fused multiply-add."""
    p = Problem(h=7, w=22, dtype=dtype).but(**kind)
    huge = np.finfo(dtype).max
    weight = np.zeros(p.weight_shape, dtype)
    weight[:, 0, 0, 0] = 2
    x = np.full(p.x_shape, huge, dtype)
    for y, case in each("forward", p, x, weight, np.zeros(p.g * p.f, dtype)):
        assert (y == np.inf).all(), case
    for y, case in each("forward", p, x, weight, np.full(p.g * p.f, -huge, dtype)):
        assert (y == huge).all(), case


def test_a_clamp_bounds_infinities_and_lets_what_is_not_a_number_pass(kind):
    p = Problem(h=1, w=6, kh=1, kw=1, lo=-1.0, hi=6.0, bias=False).but(**{**kind, "kh": 1, "kw": 1, "sh": 1, "sw": 1})
    x = np.zeros(p.x_shape, np.float32)
    x[..., :] = [np.nan, np.inf, -np.inf, -0.5, 7, -0.0]
    weight = np.zeros(p.weight_shape, np.float32)
    weight[:, 0] = 1
    x[:, np.arange(p.c) % (p.c // p.g) != 0] = 0
    for y, case in each("forward", p, x, weight):
        want = np.broadcast_to(np.float32([np.nan, 6, -1, -0.5, 6, 0]), y.shape)
        assert np.array_equal(y, want, equal_nan=True), case


def test_a_clamp_to_zero_keeps_a_minus_zero():
    """The lower bound replaces only what is less than it, and -0 is not less than 0."""
    p = Problem(h=4, w=18, kh=1, kw=1, lo=0.0)
    x, bias = np.full(p.x_shape, -0.0, np.float32), np.full(1, -0.0, np.float32)
    for y, case in each("forward", p, x, ones(p.weight_shape), bias):
        assert np.signbit(y).all(), case


def test_bounds_that_are_infinite_change_nothing():
    x = np.float32([np.nan, np.inf, -np.inf, 1]).reshape(1, 1, 2, 2)
    y = cgconv.conv2d(x, ones((1, 1, 1, 1)), clamp=(-np.inf, np.inf))
    assert np.array_equal(x, y, equal_nan=True)


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "int32", "bool"])
def test_an_image_of_integers_is_converted(dtype):
    rng = np.random.default_rng(0)
    x = rng.integers(0, 2 if dtype == "bool" else 256, (2, 6, 9, 8)).astype(dtype)
    weight = rng.integers(-3, 4, (6, 1, 3, 3)).astype(np.float32)
    more = {"groups": 6, "padding": 1, "padding_value": "replicate"}
    y = cgconv.conv2d(x, weight, **more)
    assert y.dtype == np.float32
    assert np.array_equal(y, cgconv.conv2d(x.astype(np.float64), weight.astype(np.float64), **more))


@pytest.mark.parametrize("which", PASSES)
def test_inputs_are_left_as_they_are(which):
    for memory in MEMORIES:
        p = Problem(n=2, c=4, g=2, f=2, h=9, w=8, pt=1, pr=2, memory=memory)
        data = [np.random.default_rng(0).standard_normal(s).astype(np.float32)
                for s in (p.x_shape, p.weight_shape, p.g * p.f, p.y_shape)]  # fmt: skip
        copies = [a.copy() for a in data]
        for a in data:
            a.flags.writeable = False
        run(p, which, *data)
        assert all(map(np.array_equal, data, copies))
