"""Gradients: each backward pass is the adjoint of the forward pass. It must not know how any of them is computed.

Most tests run on small integers in float64, where every sum is exact, so that identities hold with ==.
"""

import numpy as np
import pytest
from hypothesis import given, note

import cgconv
from problems import MODES, Problem, arrays, problems
from reference import plain_forward

EVERY_MODE = [
    Problem(mode=m, value=v) for m, v in (("constant", 0.0), ("constant", 2.0), *((m, 0.0) for m in MODES[1:]))
]


def mode_name(p):
    return p.mode if p.mode != "constant" else f"constant {p.value:g}"


def forward(p, x, weight, bias=None):
    return cgconv.conv2d(x, weight, bias, **p.geometry)


def backward(p, x, weight, dy):
    dx = cgconv.conv2d_backward_input(dy, weight, x.shape, **p.geometry)
    return dx, *cgconv.conv2d_backward_weight(x, dy, weight.shape, **p.geometry)


def inner(a, b):
    return float(np.sum(a * b))


@given(problems())
def test_both_backward_passes_are_adjoint_to_the_forward_pass(p):
    p = p.but(dtype="float64", value=0.0, lo=-np.inf, hi=np.inf)
    note(p)
    x, weight, _, dy = arrays(p, kind="integers")
    dx, dw, db = backward(p, x, weight, dy)
    y = forward(p, x, weight)
    assert inner(y, dy) == inner(x, dx)
    assert inner(y, dy) == inner(weight, dw)
    assert np.array_equal(db, dy.sum(axis=(0, 2, 3)))


@given(problems())
def test_a_constant_pad_gives_no_gradient_of_the_input_and_counts_in_that_of_the_weights(p):
    p = p.but(dtype="float64", mode="constant", value=3.0)
    note(p)
    x, weight, _, dy = arrays(p, kind="integers")
    dx, dw, _ = backward(p, x, weight, dy)
    y, y0 = forward(p, x, weight), forward(p, np.zeros_like(x), weight)
    assert inner(y - y0, dy) == inner(x, dx)
    assert inner(y, dy) == inner(weight, dw)


@given(problems())
def test_every_pass_is_linear_in_each_of_its_arguments(p):
    p = p.but(dtype="float64", value=0.0)
    note(p)
    (x1, w1, _, dy1), (x2, w2, _, dy2) = arrays(p, 1, "integers"), arrays(p, 2, "integers")
    passes = (
        (lambda x, w: forward(p, x, w), (x1, w1), (x2, w2)),
        (lambda dy, w: cgconv.conv2d_backward_input(dy, w, x1.shape, **p.geometry), (dy1, w1), (dy2, w2)),
        (lambda x, dy: cgconv.conv2d_backward_weight(x, dy, w1.shape, **p.geometry)[0], (x1, dy1), (x2, dy2)),
    )
    for f, (a1, b1), (a2, b2) in passes:
        assert np.array_equal(f(a1 - 2 * a2, b1), f(a1, b1) - 2 * f(a2, b1))
        assert np.array_equal(f(a1, b1 - 2 * b2), f(a1, b1) - 2 * f(a1, b2))


@pytest.mark.parametrize("mode", EVERY_MODE, ids=mode_name)
@pytest.mark.parametrize(
    "shape",
    [
        {"kh": 3, "kw": 3, "pt": 1, "pb": 1, "pl": 1, "pr": 1},
        {"kh": 3, "kw": 2, "sh": 2, "sw": 3, "pt": 2, "pb": 0, "pl": 0, "pr": 4},
        {"kh": 2, "kw": 3, "dh": 2, "dw": 3, "pt": 6, "pb": 7, "pl": 5, "pr": 9, "sw": 2},
        {"kh": 1, "kw": 1, "sh": 3, "sw": 2, "pt": 1, "pb": 3},
        {"h": 1, "w": 1, "kh": 2, "kw": 3, "pt": 3, "pb": 3, "pl": 3, "pr": 3, "sh": 2},
    ],
    ids=["3x3", "strided", "dilated, with long pads", "1x1 strided", "one pixel"],
)
def test_every_column_of_the_jacobian_is_what_moving_one_cell_does(mode, shape):
    """The map is linear in x and in w, so a step of 1 measures its derivative without error."""
    p = mode.but(n=2, c=4, g=2, f=2, h=4, w=3, dtype="float64").but(**shape)
    x, weight, _, dy = arrays(p, kind="integers")
    dx, dw, _ = backward(p, x, weight, dy)
    y = forward(p, x, weight)
    for at in np.ndindex(x.shape):
        moved = x.copy()
        moved[at] += 1
        assert inner(forward(p, moved, weight) - y, dy) == dx[at], (p, at)
    for at in np.ndindex(weight.shape):
        moved = weight.copy()
        moved[at] += 1
        assert inner(forward(p, x, moved) - y, dy) == dw[at], (p, at)


@pytest.mark.parametrize("mode", EVERY_MODE, ids=mode_name)
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_finite_differences_of_a_loss_agree_with_the_gradients(mode, stride):
    """The loss is the sum of y**3 / 3, so its gradient is y**2. A central difference with step h is off by h**2 / 3
    times the sum of (dy/dcell)**3, and by the rounding of two losses over 2*h."""
    p = mode.but(n=2, c=2, g=2, f=2, h=5, w=4, sh=stride, sw=stride, pt=2, pb=1, pl=3, pr=2, dtype="float64")
    x, weight, bias, _ = arrays(p, kind="normal")
    h = 2.0**-16

    def loss(x, weight, bias):
        return float(np.sum(forward(p, x, weight, bias) ** 3)) / 3

    y = forward(p, x, weight, bias)
    gradients = backward(p, x, weight, y**2)
    magnitude = plain_forward(p.but(value=abs(p.value)), *map(np.abs, (x, weight, bias)))
    of_y, of_the_cube, of_the_sum = p.c // p.g * p.kh * p.kw + 1, 3, y.size
    roundings = 3 * of_y + of_the_cube + of_the_sum
    rounding = roundings * 2**-53 * float(np.sum(magnitude**3)) / 3 / h
    for which, (parameter, gradient) in enumerate(zip((x, weight, bias), gradients, strict=True)):
        for at in np.ndindex(parameter.shape):
            values = []
            for step in (h, -h):
                moved = [x, weight, bias]
                moved[which] = parameter.copy()
                moved[which][at] += step
                values.append((loss(*moved), forward(p, *moved)))
            (above, y1), (below, y0) = values
            slope = np.abs(y1 - y0) / (2 * h)
            bound = h**2 / 3 * float(np.sum(slope**3)) + rounding
            assert abs((above - below) / (2 * h) - gradient[at]) <= bound, (p, which, at)


@pytest.mark.parametrize(
    "kind", [{"c": 1}, {"c": 2, "g": 2}, {"c": 5, "f": 3}], ids=["dense", "channel-wise", "many"]
)
def test_the_weight_gradient_of_a_long_sum_of_float32_keeps_its_digits(kind):
    """All terms are positive, so the relative error is at most half a unit for each link of the longest chain."""
    p = Problem(n=3, h=300, w=301, **kind)
    rng = np.random.default_rng(0)
    x = rng.uniform(0.5, 1.5, p.x_shape).astype(np.float32)
    dy = rng.uniform(0.5, 1.5, p.y_shape).astype(np.float32)
    dw, db = cgconv.conv2d_backward_weight(x, dy, p.weight_shape, **p.geometry)
    exact_w, exact_b = cgconv.conv2d_backward_weight(
        x.astype(np.float64), dy.astype(np.float64), p.weight_shape, **p.geometry
    )
    vectors_of_a_row = -(-p.ow // 16)
    rows_of_a_chunk = 256 // vectors_of_a_row
    links = rows_of_a_chunk * vectors_of_a_row + 4 + -(-p.n * p.oh // rows_of_a_chunk)
    assert links < p.n * p.oh * p.ow / 500  # of which a plain chain has one for each pixel
    assert np.max(np.abs(dw - exact_w) / exact_w) <= links * 2**-24
    assert np.max(np.abs(db - exact_b) / exact_b) <= links * 2**-24


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_batch_of_no_images_gives_zero_gradients(dtype):
    p = Problem(n=0, c=4, g=2, f=3, h=5, w=6, pt=1, pl=2, dtype=dtype)
    x, weight, bias, dy = arrays(p)
    assert forward(p, x, weight, bias).shape == p.y_shape
    dx, dw, db = backward(p, x, weight, dy)
    assert dx.shape == p.x_shape
    assert dw.shape == p.weight_shape
    assert db.shape == (6,)
    assert not dw.any()
    assert not db.any()
    assert dw.dtype == db.dtype == dx.dtype == dtype


def test_a_stride_that_steps_over_cells_gives_them_no_gradient():
    dx = cgconv.conv2d_backward_input(np.ones((1, 1, 2, 2)), np.ones((1, 1, 1, 1)), (1, 1, 5, 6), stride=(3, 4))
    want = np.zeros((5, 6))
    want[::3, ::4] = 1
    assert np.array_equal(dx[0, 0], want)


def test_rows_that_no_filter_reaches_get_no_gradient():
    """(7 + 0 - 3) // 2 + 1 = 3 outputs read rows 0 to 6; with a stride of 3, 2 outputs read 0 to 5."""
    dx = cgconv.conv2d_backward_input(np.ones((1, 1, 2, 5)), np.ones((1, 1, 3, 3)), (1, 1, 7, 7), stride=(3, 1))
    assert dx[0, 0, :6].all()
    assert not dx[0, 0, 6].any()
