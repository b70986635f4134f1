"""Other people's convolutions agree: NumPy in float64, SciPy and PyTorch.

Errors are held to the bound of a sum of K rounded products, K * u / (1 - K * u) times the sum of their magnitudes,
with u half a unit in the last place; an oracle that rounds in the same dtype is allowed as much for itself.
"""

import numpy as np
import pytest
from hypothesis import given, note
from hypothesis import strategies as st

import cgconv
import reference
from problems import Problem, arrays, problems, read_list, scaled_down


def sum_bound(terms, magnitude, dtype):
    """How far a sum of so many rounded products can lie from the exact one; a denormal loses up to its last unit."""
    info = np.finfo(dtype)
    u = float(info.eps) / 2
    return terms * u / (1 - terms * u) * magnitude + terms * float(info.smallest_subnormal)


def assert_close(got, want, bound, *case):
    excess = np.abs(got.astype(np.float64) - want) - bound
    assert got.shape == want.shape, case
    assert not np.any(excess > 0), (*case, float(excess.max()))


def check(p, seed=0):
    """All three passes against np.pad and einsum."""
    x, weight, bias, dy = arrays(p, seed)
    dtype, both = p.dtype, 2 if p.dtype == "float64" else 1
    absolute = [np.abs(a) if a is not None else None for a in (x, weight, bias, dy)]
    magnitude = p.but(value=abs(p.value))

    taps = p.c // p.g * p.kh * p.kw
    y = cgconv.conv2d(x, weight, bias, **p.geometry)
    bound = sum_bound(taps + 1, reference.plain_forward(magnitude, *absolute[:3]), dtype)
    assert_close(y, reference.plain_forward(p, x, weight, bias), both * bound, p, "forward")

    dx = cgconv.conv2d_backward_input(dy, weight, p.x_shape, **p.geometry)
    copies = 1 if p.mode == "constant" else (p.h + p.pt + p.pb) * (p.w + p.pl + p.pr)  # at most, of one cell
    bound = sum_bound(p.f * p.kh * p.kw + copies, reference.plain_backward_input(p, absolute[3], absolute[1]), dtype)
    assert_close(dx, reference.plain_backward_input(p, dy, weight), both * bound, p, "backward_input")

    dw, db = cgconv.conv2d_backward_weight(x, dy, p.weight_shape, **p.geometry)
    pixels = p.n * p.oh * p.ow
    want_w, want_b = reference.plain_backward_weight(p, x, dy)
    size_w, size_b = reference.plain_backward_weight(magnitude, absolute[0], absolute[3])
    assert_close(dw, want_w, both * sum_bound(pixels, size_w, dtype), p, "dw")
    assert_close(db, want_b, both * sum_bound(pixels, size_b, dtype), p, "db")


# ---- NumPy -------------------------------------------------------------------------------------------------


@given(problems())
def test_numpy_agrees_on_random_problems(p):
    note(p)
    check(p.but(lo=-np.inf, hi=np.inf))


@pytest.mark.parametrize("p", read_list(), ids=lambda p: p.name)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_numpy_agrees_on_the_layers_of_real_networks(p, dtype):
    check(scaled_down(p).but(dtype=dtype))


@given(st.sampled_from(("float32", "float64")), st.integers(1, 3), st.integers(1, 4))
def test_a_clamp_is_applied_to_the_finished_sum(dtype, kernel, filters):
    p = Problem(c=4, g=2, f=filters, kh=kernel, kw=kernel, dtype=dtype)
    x, weight, bias, _ = arrays(p)
    free = cgconv.conv2d(x, weight, bias, groups=2)
    for clamp in ((0, None), (0, 6), (None, 0.25), (-0.5, 0.5), (1, 1)):
        assert np.array_equal(cgconv.conv2d(x, weight, bias, groups=2, clamp=clamp), np.clip(free, *clamp))


# ---- SciPy -------------------------------------------------------------------------------------------------

NDIMAGE_MODE = {
    "constant": "constant",
    "symmetric-include-edge": "reflect",
    "symmetric-exclude-edge": "mirror",
    "replicate": "nearest",
    "circular": "grid-wrap",
}


@pytest.mark.parametrize("mode", NDIMAGE_MODE)
@pytest.mark.parametrize("kernel", [(1, 1), (3, 3), (2, 5), (4, 4), (11, 7)])
def test_scipy_ndimage_agrees(mode, kernel):
    ndimage = pytest.importorskip("scipy.ndimage", reason="SciPy is not installed")
    (kh, kw), rng = kernel, np.random.default_rng(0)
    x, weight = rng.integers(-9, 10, (6, 5)).astype(float), rng.integers(-9, 10, kernel).astype(float)
    value = 2.0 if mode == "constant" else mode
    pads = (kh // 2, kh - 1 - kh // 2, kw // 2, kw - 1 - kw // 2)
    y = cgconv.conv2d(x[None, None], weight[None, None], padding=pads, padding_value=value)
    assert np.array_equal(y[0, 0], ndimage.correlate(x, weight, mode=NDIMAGE_MODE[mode], cval=2.0))


@pytest.mark.parametrize(
    ("value", "boundary"), [(3, "fill"), ("symmetric-include-edge", "symm"), ("circular", "wrap")]
)
@pytest.mark.parametrize("kernel", [(1, 1), (3, 5), (5, 3)])
def test_scipy_signal_agrees(value, boundary, kernel):
    signal = pytest.importorskip("scipy.signal", reason="SciPy is not installed")
    rng = np.random.default_rng(0)
    x, weight = rng.integers(-9, 10, (7, 6)).astype(float), rng.integers(-9, 10, kernel).astype(float)
    y = cgconv.conv2d(x[None, None], weight[None, None], padding=[k // 2 for k in kernel], padding_value=value)
    assert np.array_equal(y[0, 0], signal.correlate2d(x, weight, "same", boundary, fillvalue=3))


# ---- PyTorch -----------------------------------------------------------------------------------------------

TORCH_MODE = {"symmetric-exclude-edge": "reflect", "replicate": "replicate", "circular": "circular"}
SMALL = {"n": 2, "c": 6, "h": 9, "w": 8, "g": 3, "f": 2}
TORCH_PROBLEMS = [
    *map(scaled_down, read_list()),
    Problem(**SMALL, sh=2, sw=3, pt=1, pb=1, pl=2, pr=2),
    Problem(**SMALL, dh=2, dw=3, pt=3, pb=3, pl=4, pr=4, kh=2, kw=3),
    Problem(**SMALL, pt=1, pb=0, pl=2, pr=3, value=1.5),
    *[Problem(**SMALL, kh=5, kw=3, sw=2, pt=2, pb=3, pl=1, pr=4, mode=mode) for mode in TORCH_MODE],
    Problem(**{**SMALL, "n": 0}),
    Problem(**{**SMALL, "h": 1, "w": 1}, kh=1, kw=1, pt=2, pr=1),
]


def torch_conv2d(torch, p, x, weight, bias):
    f = torch.nn.functional
    more = {"value": p.value} if p.mode == "constant" else {}
    x = f.pad(x, (p.pl, p.pr, p.pt, p.pb), TORCH_MODE.get(p.mode, "constant"), **more)
    return f.conv2d(x, weight, bias, stride=(p.sh, p.sw), dilation=(p.dh, p.dw), groups=p.g)


@pytest.mark.parametrize("p", TORCH_PROBLEMS, ids=lambda p: p.name or repr(p))
@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_pytorch_and_its_autograd_agree(p, layout, dtype):
    """On integers, where every sum is exact in both dtypes whatever its order, all results are equal."""
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    p = p.but(dtype=dtype)
    x, weight, bias, dy = arrays(p, kind="integers")
    leaves = [torch.from_numpy(a).requires_grad_() for a in (x, weight, bias)]
    y = torch_conv2d(torch, p, *leaves)
    y.backward(torch.from_numpy(dy))

    def to(a):
        return np.ascontiguousarray(a.transpose(0, 2, 3, 1)) if layout == "NHWC" else a

    def back(a):
        return a.transpose(0, 3, 1, 2) if layout == "NHWC" else a

    keywords = {**p.geometry, "layout": layout}
    assert np.array_equal(back(cgconv.conv2d(to(x), weight, bias, **keywords)), y.detach().numpy())
    dx = cgconv.conv2d_backward_input(to(dy), weight, to(x).shape, **keywords)
    dw, db = cgconv.conv2d_backward_weight(to(x), to(dy), weight.shape, **keywords)
    for got, leaf in zip((back(dx), dw, db), leaves, strict=True):
        assert np.array_equal(got, leaf.grad.numpy())
