"""Convolution problems: what one is, the numbers in its arrays, and where problems come from.

It must not know the right answers, which are in reference.py, nor the library, to which running.py puts a problem.
"""

import csv
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from hypothesis import strategies as st

MODES = ("constant", "symmetric-include-edge", "symmetric-exclude-edge", "replicate", "circular")
LISTS = Path(__file__).parent.parent / "cgconv" / "command" / "bench"

# ---- a problem ---------------------------------------------------------------------------------------------


# How an array can lie in memory.
MEMORIES = (
    "NCHW",
    "NHWC",
    "NCHW crop",
    "NHWC crop",
    "NCHW flipped",
    "NCHW in column-major order",
    "HWCN in column-major order",
    "NHWC with rows and columns exchanged",
)


@dataclass(frozen=True)
class Problem:
    """All that defines a convolution but the numbers in its arrays. Its text is a call that makes it again."""

    n: int = 1
    c: int = 1
    h: int = 5
    w: int = 5
    g: int = 1
    f: int = 1
    kh: int = 3
    kw: int = 3
    sh: int = 1
    sw: int = 1
    dh: int = 1
    dw: int = 1
    pt: int = 0
    pb: int = 0
    pl: int = 0
    pr: int = 0
    mode: str = "constant"
    value: float = 0.0
    lo: float = -np.inf
    hi: float = np.inf
    bias: bool = True
    dtype: str = "float32"
    memory: str = "NCHW"
    name: str = ""

    def __repr__(self):
        changed = {k: v for k, v in vars(self).items() if v != getattr(Problem, k)}
        return "Problem(" + ", ".join(f"{k}={v!r}" for k, v in changed.items()).replace("=inf", "=np.inf") + ")"

    @property
    def oh(self):
        return (self.h + self.pt + self.pb - (self.kh - 1) * self.dh - 1) // self.sh + 1

    @property
    def ow(self):
        return (self.w + self.pl + self.pr - (self.kw - 1) * self.dw - 1) // self.sw + 1

    @property
    def x_shape(self):
        return self.n, self.c, self.h, self.w

    @property
    def weight_shape(self):
        return self.g * self.f, self.c // self.g, self.kh, self.kw

    @property
    def y_shape(self):
        return self.n, self.g * self.f, self.oh, self.ow

    @property
    def multiply_adds(self):
        return self.n * self.oh * self.ow * int(np.prod(self.weight_shape))

    @property
    def taps_run_along_columns(self):
        """Whether height and width are exchanged in memory, so that taps are added in the order (c, v, u).

        Arrays of one row or one column have no such order; then those of the other side of the layer decide.
        """
        return self.memory in MEMORIES[-3:] and (min(self.h, self.w) > 1 or min(self.oh, self.ow) > 1)

    @property
    def geometry(self):
        """The keywords that all of the library's functions take."""
        return {
            "stride": (self.sh, self.sw),
            "padding": (self.pt, self.pb, self.pl, self.pr),
            "dilation": (self.dh, self.dw),
            "groups": self.g,
            "padding_value": self.value if self.mode == "constant" else self.mode,
        }

    @property
    def clamp(self):
        return tuple(None if np.isinf(bound) else bound for bound in (self.lo, self.hi))

    def but(self, **changes):
        return replace(self, **changes)


# ---- its arrays --------------------------------------------------------------------------------------------

ODD_NUMBERS = (0.0, -0.0, np.inf, -np.inf, np.nan, 1e-42, -3e-320, 1e30, -3e38, 1e-20)


def arrays(p, seed=0, kind="normal"):
    """x, weight, bias (or None) and dy, as N x C x H x W.

    kind: "normal"; "integers", small enough that every sum is exact; "odd", with NaN, infinities, signed zeros,
    denormals and numbers whose products overflow strewn in.
    """
    rng = np.random.default_rng([seed, *p.x_shape, *p.weight_shape])

    def draw(shape):
        if kind == "integers":
            return rng.integers(-4, 5, shape).astype(p.dtype)
        a = rng.standard_normal(shape)
        if kind == "odd":
            a = np.where(rng.random(shape) < 0.05, rng.choice(ODD_NUMBERS, shape), a)
        with np.errstate(over="ignore"):
            return a.astype(p.dtype)

    x, weight, bias, dy = draw(p.x_shape), draw(p.weight_shape), draw(p.g * p.f), draw(p.y_shape)
    return x, weight, bias if p.bias else None, dy


def same_bits(a, b):
    """Equal bit for bit, where any NaN equals any other; -0 differs from +0."""
    return a.dtype == b.dtype and a.shape == b.shape and bool(np.all(_equal_cells(a, b)))


def _equal_cells(a, b):
    return ((a == b) & (np.signbit(a) == np.signbit(b))) | (np.isnan(a) & np.isnan(b))


def assert_same_bits(got, want, *case):
    """Fails with the case, which should name the problem, and the first cell that differs."""
    case = " ".join(map(str, case))
    assert got.dtype == want.dtype, f"{case}: {got.dtype} is not {want.dtype}"
    assert got.shape == want.shape, f"{case}: {got.shape} is not {want.shape}"
    if not same_bits(got, want):
        bad = np.argwhere(~_equal_cells(got, want))
        first = tuple(map(int, bad[0]))
        raise AssertionError(
            f"{case}: {len(bad)} of {got.size} cells differ; at {first} it is {got[first]!r}, not {want[first]!r}"
        )


# ---- where problems come from ------------------------------------------------------------------------------


def read_list(path=LISTS / "problems.csv"):
    """The problems of a list: a CSV file with a line per layer of a real network."""
    short = {
        "filters_per_group": "f",
        "groups": "g",
        **{f"stride_{a}": f"s{a}" for a in "hw"},
        **{f"dilation_{a}": f"d{a}" for a in "hw"},
        **{f"pad_{side}": f"p{side[0]}" for side in ("top", "bottom", "left", "right")},
    }
    with open(path, newline="") as lines:
        return [
            Problem(**{short.get(k, k): v if k == "name" else int(v) for k, v in row.items()})
            for row in csv.DictReader(lines)
        ]


def scaled_down(p):
    """A problem of the same kind as p that plain Python can judge: fewer groups, and a smaller plane."""

    def smaller(extent, kernel, dilation):
        least = min(extent, 2 * ((kernel - 1) * dilation + 1))
        return extent if extent <= 16 else max(least, 9 + extent % 7)

    n, g = min(p.n, 2), min(p.g, 3)
    cg, f = min(p.c // p.g, 13), min(p.f, 13)
    p = p.but(n=n, g=g, c=g * cg, f=f, h=smaller(p.h, p.kh, p.dh), w=smaller(p.w, p.kw, p.dw))
    return _of_bearable_size(p, 600_000)


@st.composite
def _axes(draw, mode, largest_filter, largest_extent):
    """Extent, filter, stride, dilation and the two pads of one axis that has at least one output."""
    k = draw(st.integers(1, 5) | st.integers(1, largest_filter))
    dilation = draw(st.just(1) | st.integers(1, 4))
    stride = draw(st.just(1) | st.integers(1, 5))
    extent = draw(st.integers(1, 12) | st.integers(0, largest_extent))
    low, high = draw(st.tuples(*[st.integers(0, 3) | st.integers(0, 30)] * 2))
    if mode != "constant":
        extent = max(extent, 1)
    short = (k - 1) * dilation + 1 - (extent + low + high)
    return extent + max(short, 0), k, stride, dilation, low, high


@st.composite
def problems(draw, most=600_000, largest_extent=24):
    """Any problem at all that has at most so many multiply-adds, or about so many where one filter alone has more."""
    mode = draw(st.sampled_from(MODES))
    h, kh, sh, dh, pt, pb = draw(_axes(mode, 13, largest_extent))
    w, kw, sw, dw, pl, pr = draw(_axes(mode, 13, largest_extent))
    g = draw(st.integers(1, 4) | st.integers(1, 9))
    kind = draw(st.sampled_from(("channel-wise", "grouped", "grouped")))
    cg = 1 if kind == "channel-wise" else draw(st.integers(1, 5) | st.integers(1, 20))
    lo = draw(st.just(-np.inf) | st.sampled_from((0.0, -0.5)))
    p = Problem(
        n=draw(st.integers(0, 3)),
        c=g * cg,
        h=h,
        w=w,
        g=g,
        f=draw(st.integers(1, 3) | st.integers(1, 20)),
        kh=kh,
        kw=kw,
        sh=sh,
        sw=sw,
        dh=dh,
        dw=dw,
        pt=pt,
        pb=pb,
        pl=pl,
        pr=pr,
        mode=mode,
        value=draw(st.sampled_from((0.0, 1.5, -0.0, -3.25))) if mode == "constant" else 0.0,
        lo=lo,
        hi=draw(st.just(np.inf) | st.sampled_from((0.75, 6.0))),
        bias=draw(st.booleans()),
        dtype=draw(st.sampled_from(("float32", "float64"))),
        memory=draw(st.sampled_from(MEMORIES)),
    )
    return _of_bearable_size(p, most)


def _of_bearable_size(p, most):
    """p with fewer filters, groups, images or channels per group until it has at most so many multiply-adds."""
    while p.multiply_adds > most:
        if p.f > 1:
            p = p.but(f=p.f // 2)
        elif p.c > p.g:
            p = p.but(c=p.g * (p.c // p.g // 2))
        elif p.g > 1:
            p = p.but(c=p.c // p.g * (p.g // 2), g=p.g // 2)
        else:
            return p
    return p
