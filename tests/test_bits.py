"""One sum, one order: every algorithm, instruction set, thread count and layout gives the bits of the definition.

It holds the library against reference.py, and large problems against the library's own reference algorithm, which the
small ones have tried. There is no tolerance in this file.
"""

import ctypes
import ctypes.util

import numpy as np
import pytest
from hypothesis import given, note
from hypothesis import strategies as st

import cgconv
import reference
from problems import MODES, Problem, arrays, assert_same_bits, problems, read_list, scaled_down
from regressions import REGRESSIONS
from running import CONFIG, PASSES, every_way, make_plan, run

# ---- the definition itself ---------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_multiply_add_of_the_definition_rounds_once(dtype):
    """Against libm's, on near ties, random bits and the ends of the range."""
    libm = ctypes.CDLL(ctypes.util.find_library("m"))
    one = libm.fmaf if dtype == "float32" else libm.fma
    real = ctypes.c_float if dtype == "float32" else ctypes.c_double
    one.restype, one.argtypes = real, (real,) * 3
    rng, info = np.random.default_rng(0), np.finfo(dtype)
    n, bits = 20000, np.dtype(f"i{info.bits // 8}")
    few_bits = 1 + np.ldexp(rng.integers(-3, 4, (3, n)).astype(float), -rng.integers(1, info.nmant + 2, (3, n)))
    near = np.ldexp(few_bits, rng.integers(-30, 30, (3, n))).astype(dtype)
    cancelling = near.copy()
    cancelling[2] = -near[0] * near[1] * (1 + info.eps * rng.integers(-2, 3, n)).astype(dtype)
    anything = rng.integers(np.iinfo(bits).min, np.iinfo(bits).max, (3, n), bits, endpoint=True).view(dtype)
    tiny = np.ldexp(few_bits, rng.integers(info.minexp // 2 - 9, info.minexp // 2 + 9, (3, n))).astype(dtype)
    edge_cases = [0, -0.0, 1, -1, np.inf, np.nan, info.max, info.tiny, info.smallest_subnormal]
    ends = rng.choice(np.array(edge_cases, dtype), (3, n))
    for a, b, c in (near, cancelling, anything, tiny, ends, rng.standard_normal((3, n)).astype(dtype)):
        want = np.array([one(*terms) for terms in zip(a.tolist(), b.tolist(), c.tolist(), strict=True)], dtype)
        assert_same_bits(reference.fma(a, b, c), want, dtype)


# ---- small problems against the definition -----------------------------------------------------------------


def answers(p, which, x, weight, bias, dy):
    """What the definition says, as N x C x H x W."""
    if p.taps_run_along_columns:
        q, turn = reference.exchanged(p), lambda a: a.swapaxes(-1, -2)
    else:
        q, turn = p, lambda a: a
    if which == "forward":
        return (turn(reference.forward(q, turn(x), turn(weight), bias)),)
    if which == "backward_input":
        return (turn(reference.backward_input(q, turn(dy), turn(weight))),)
    dw, db = reference.backward_weight(q, turn(x), turn(dy))
    return turn(dw), db


def check(p, seed=0, kind="normal"):
    data = arrays(p, seed, kind)
    for which in PASSES:
        want = answers(p, which, *data)
        for isa, algorithm, threads in every_way(p, which):
            got = run(p, which, *data, isa=isa, algorithm=algorithm, threads=threads)
            for name, a, b in zip(("", "db"), got, want, strict=False):
                assert_same_bits(a, b, p, f"{seed=} {kind=}", which, name, isa, algorithm, f"{threads=}")


@given(problems(), st.integers(0, 9), st.sampled_from(("normal", "odd")))
def test_random_problems_have_the_bits_of_the_definition(p, seed, kind):
    note(p)
    check(p, seed, kind)


@pytest.mark.parametrize("p", REGRESSIONS, ids=lambda p: p.name)
@pytest.mark.parametrize(
    ("kind", "dtype", "memory"),
    [
        ("normal", "float32", "NCHW"),
        ("odd", "float64", "NCHW crop"),
        ("odd", "float32", "NHWC"),
        ("normal", "float64", "HWCN in column-major order"),
    ],
)
def test_problems_that_have_tripped_libraries_have_the_bits_of_the_definition(p, kind, dtype, memory):
    check(p.but(dtype=dtype, memory=memory), kind=kind)


@pytest.mark.parametrize("p", read_list(), ids=lambda p: p.name)
@pytest.mark.parametrize("memory", ["NCHW", "NHWC"])
def test_small_layers_of_real_networks_have_the_bits_of_the_definition(p, memory):
    check(scaled_down(p).but(memory=memory))


# ---- large problems against the reference algorithm --------------------------------------------------------


def part_of(p, data):
    """Of a large problem: the first and the last group with at most two of its channels or filters, as a problem of
    each pass, its arrays, and where its results stand in those of the whole."""
    x, weight, bias, dy = data
    cg = p.c // p.g
    for g in sorted({0, p.g - 1}):
        channels, filters = np.s_[:, g * cg : (g + 1) * cg], np.s_[:, g * p.f : (g + 1) * p.f]
        first = np.s_[g * p.f : g * p.f + min(p.f, 2)]
        few = p.but(g=1, c=cg, f=min(p.f, 2))
        yield "forward", few, (x[channels], weight[first], bias[first], None), (np.s_[:, first],)
        yield "backward_weight", few, (x[channels], None, None, dy[:, first]), (first, first)
        few = p.but(g=1, c=min(cg, 2), f=p.f)
        only = np.s_[:, g * cg : g * cg + few.c]
        yield "backward_input", few, (None, weight[filters[1], : few.c], None, dy[filters]), (only,)


@pytest.mark.parametrize("p", read_list(), ids=lambda p: p.name)
@pytest.mark.parametrize("memory", ["NCHW", "NHWC"])
def test_layers_of_real_networks_have_the_bits_of_the_reference_algorithm(p, memory):
    """Groups, channels of an input and filters do not know of each other, so a part can judge the whole."""
    data = arrays(p)
    whole = {which: run(p.but(memory=memory), which, *data) for which in PASSES}
    for which, few, part, places in part_of(p, data):
        want = run(few, which, *part, algorithm="reference")
        for a, b, at in zip(whole[which], want, places, strict=True):
            assert_same_bits(a[at], b, p, which, few)


@pytest.mark.parametrize("filters", [1, 2, 3])
@pytest.mark.parametrize("stride", [(1, 1), (2, 1), (2, 2), (3, 2), (3, 3)])
@pytest.mark.parametrize("side", [3, 4, 9])
def test_wide_channel_wise_gradients_of_the_input_have_the_bits_of_the_reference_algorithm(side, stride, filters):
    """Rows longer than what is computed at a time, of one filter a channel and of chains that go on over several."""
    rng = np.random.default_rng(0)
    keys = {"stride": stride, "padding": (1, 2, side - 1, 1), "groups": 2}
    shape, weight = (1, 2, 10, 5003), rng.standard_normal((2 * filters, 1, side, side), dtype="float32")
    y = cgconv.conv2d(np.zeros(shape, "float32"), weight, **keys)
    dy = rng.standard_normal(y.shape, dtype="float32")
    want = cgconv.conv2d_backward_input(dy, weight, shape, algorithm="reference", **keys)
    for threads in (1, 3):
        dx = cgconv.conv2d_backward_input(dy, weight, shape, threads=threads, **keys)
        assert np.array_equal(dx, want)


@pytest.mark.parametrize("mode", MODES[1:])
@pytest.mark.parametrize("memory", ["NCHW", "NHWC"])
@pytest.mark.parametrize(
    "p",
    [
        Problem(n=2, c=301, g=301, h=14, w=15, pt=1, pb=1, pl=1, pr=1, name="whole planes, some groups at a time"),
        Problem(n=35, c=24, g=4, f=5, h=7, w=9, pt=2, pl=3, pr=1, name="whole planes, some images at a time"),
        Problem(n=2, c=40, g=20, f=3, h=40, w=45, sh=2, pt=1, pb=2, pl=1, name="whole planes of two blocks of groups"),
        Problem(n=2, c=9, g=9, f=2, h=50, w=60, kh=5, kw=5, pt=2, pb=2, pl=2, pr=2, name="parts"),
        Problem(n=2, c=70, g=70, h=30, w=1000, sw=2, dh=2, pt=3, pr=4, name="parts, some groups at a time"),
        Problem(c=3, f=4, h=70, w=80, pt=2, pb=1, pl=1, pr=3, name="cell by cell"),
    ],
    ids=lambda p: p.name,
)
def test_what_is_folded_has_the_bits_of_the_reference_algorithm(p, memory, mode):
    """Padded planes at once, in parts or cell by cell, all of them or a block at a time."""
    q = p.but(memory=memory, mode=mode)
    data = arrays(q)
    (want,) = run(q, "backward_input", *data, algorithm="reference")
    for threads in (1, 3):
        (got,) = run(q, "backward_input", *data, threads=threads)
        assert_same_bits(got, want, q, f"{threads=}")


@pytest.mark.parametrize("mode", MODES[1:])
def test_the_gradient_of_a_mirrored_image_of_one_channel_is_folded_where_it_lies(mode):
    """Its columns are neighbours that step back: channels last, though there is but one."""
    rng = np.random.default_rng(0)
    weight, dy = (rng.standard_normal(shape, dtype="float32") for shape in ((2, 1, 3, 3), (1, 11, 12, 2)))
    x, results = np.empty((1, 10, 11, 1), "float32"), []
    for algorithm in (None, "grouped", "reference"):
        plan = cgconv.Plan(
            x.shape,
            weight.shape,
            layout="NHWC",
            padding=(3, 0, 2, 1),
            padding_value=mode,
            x_strides=x[:, :, ::-1].strides,
            algorithm=algorithm,
        )
        dx = np.full_like(x, np.nan)[:, :, ::-1]
        plan.backward_input(dy, weight, out=dx)
        results.append(np.ascontiguousarray(dx))
    for dx in results[:-1]:
        assert_same_bits(dx, results[-1], mode)


@given(problems(most=8_000_000, largest_extent=80), st.sampled_from(PASSES))
def test_larger_random_problems_have_the_bits_of_the_reference_algorithm(p, which):
    note(p)
    data = arrays(p)
    want = run(p, which, *data, algorithm="reference")
    for isa, algorithm, threads in every_way(p, which):
        got = run(p, which, *data, isa=isa, algorithm=algorithm, threads=threads)
        for a, b in zip(got, want, strict=True):
            assert_same_bits(a, b, p, which, isa, algorithm, f"{threads=}")


# ---- what one order is good for ----------------------------------------------------------------------------


@pytest.mark.parametrize("memory", ["NCHW", "NHWC"])
@pytest.mark.parametrize("kind", [{"g": 1}, {"g": 3, "f": 5}, {"g": 12}], ids=["dense", "grouped", "channel-wise"])
def test_an_image_has_the_same_bits_alone_in_a_batch_and_as_a_tile(memory, kind):
    p = Problem(n=5, c=12, h=40, w=37, kh=5, kw=3, memory=memory).but(**kind)
    x, weight, bias, dy = arrays(p)
    (whole,) = run(p, "forward", x, weight, bias, dy)
    (alone,) = run(p.but(n=1), "forward", x[3:4], weight, bias, dy[3:4])
    assert_same_bits(alone, whole[3:4], p)
    tile = p.but(h=11, w=20)
    (part,) = run(tile, "forward", x[:, :, 7:18, 9:29], weight, bias, None)
    assert_same_bits(part, whole[:, :, 7 : 7 + tile.oh, 9 : 9 + tile.ow], p)


def test_the_workspace_of_an_earlier_run_leaves_no_trace():
    """A plan keeps its workspace: a run on NaN must not be felt by the next."""
    for p in REGRESSIONS[::3]:
        data = arrays(p)
        poison = [None if a is None else np.full_like(a, np.nan) for a in data]
        for which in PASSES:
            for isa, algorithm, threads in every_way(p, which, threads=(2,)):
                options = {"isa": isa, "algorithm": algorithm, "threads": threads}
                fresh = run(p, which, *data, **options)
                plan = make_plan(p, **options)
                run(p, which, *poison, plan=plan)
                for a, b in zip(run(p, which, *data, plan=plan), fresh, strict=True):
                    assert_same_bits(a, b, p, which, options)


@given(problems())
def test_a_machine_without_a_fused_multiply_add_multiplies_and_then_adds(p):
    note(p)
    assert "nofma" in CONFIG["isa_alternatives"]

    def multiply_add(a, b, c):
        with np.errstate(all="ignore"):
            return a * b + c

    data = arrays(p)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reference, "fma", multiply_add)
        wanted = {which: answers(p, which, *data) for which in PASSES}
    for which, want in wanted.items():
        for _, algorithm, threads in every_way(p, which, isas=("nofma",)):
            if algorithm != "reference":  # which rounds once on every machine
                got = run(p, which, *data, isa="nofma", algorithm=algorithm, threads=threads)
                for a, b in zip(got, want, strict=True):
                    assert_same_bits(a, b, p, which, algorithm)
