"""The plans that calls share: none answers for another, settings in between are heard, and memory has a bound."""

import itertools
import math
import sys

import numpy as np
import pytest

import cgconv
from cgconv import _core, cache
from test_threads import FORK, LARGE, OPENMP, all_at_once, in_a_new_process, needs_fork, needs_openmp

RNG = np.random.default_rng(0)
X = RNG.standard_normal((1, 4, 5, 6)).astype("float32")
X[..., 0, :2] = -0.0
WEIGHT = RNG.standard_normal((4, 4, 3, 3)).astype("float32")
BIAS = np.full(4, -0.0, "float32")  # with it the sign of a zero in the padding shows in the result


@pytest.fixture(autouse=True)
def plans(monkeypatch):
    """An empty cache."""
    monkeypatch.setattr(cache, "_plans", {})
    return cache._plans


def outcome(function, *arguments, **keywords):
    """All that a caller can see: the bits of the result, or the exception."""
    try:
        results = function(*arguments, **keywords)
    except Exception as error:
        return type(error), str(error)
    results = results if isinstance(results, tuple) else (results,)
    return [(y.shape, y.strides, y.dtype, y.tobytes()) for y in results]


def odd(value):
    """An object of a type of its own that equals the value and has its hash."""

    class Odd(type(value)):
        pass

    return Odd(value)


SPELLINGS = {  # many are equal, and have one hash; some mean the same, some something else, and some are refused
    "stride": [1, True, 1.0, np.int64(1), np.float32(1), (1, 1), [1, 1], (True, 1), (1.0, 1), np.ones(2, int), "1", 2]
    + [(1, 2), (2, 1), odd(1), None, ((1, 1), 1), (1,)],
    "dilation": [1, True, (1, 1), (1, True), [1, 1], 2],
    "groups": [1, True, 1.0, np.int8(1), np.bool_(True), [1], (1,), "1", 2, 4, odd(1)],
    "padding": [0, False, 0.0, -0.0, "valid", "same", (0, 0), [0, 0], (0, False), (0, 0, 0, 0), 1, np.array([1, 1])]
    + [(1, 0, 0, 0), (0, 1, 0, 0), {0: 0}, None, odd("same")],
    "padding_value": [0, 0.0, -0.0, False, np.float32(-0.0), np.float64(0), math.nan, -math.nan, float("nan"), 1, 1.0]
    + [True, "replicate", "circular", odd("circular"), odd(-0.0), None, math.inf, 2**53, 2**53 + 1, float(2**53)],
    "layout": ["NCHW", "BCSS", "BCTSS", "NHWC", odd("NCHW"), None, 1],
    "clamp": [(None, None), [None, None], (0, None), (0.0, None), (-0.0, None), (False, None), (None, 0), (0, 0)]
    + [None, (np.float32(0), None), (None, math.nan), (None, -0.0), (math.inf, None), (-math.inf, None)],
    "threads": [None, 1, True, 1.0, 2, 0, np.int64(1), "1"],
    "algorithm": ["auto", "reference", None, "grouped", "", 1, odd("reference")],
}


@pytest.mark.parametrize("keyword", SPELLINGS)
def test_no_call_is_answered_by_the_plan_of_another(keyword, plans):
    def call(value):
        keywords = {"padding": 1, "threads": 1, keyword: value}
        found = [outcome(cgconv.conv2d, X, WEIGHT, BIAS, **keywords)]
        if keyword != "clamp":
            found.append(outcome(cgconv.conv2d_backward_input, DY, WEIGHT, X.shape, **keywords))
            found.append(outcome(cgconv.conv2d_backward_weight, X, DY, WEIGHT.shape, **keywords))
        return found

    DY = cgconv.conv2d(X, WEIGHT, padding=1)
    alone = []
    for value in SPELLINGS[keyword]:
        plans.clear()
        alone.append(call(value))
    for (a, want_a), (b, want_b) in itertools.permutations(zip(SPELLINGS[keyword], alone, strict=True), 2):
        plans.clear()
        assert call(a) == want_a, (a, b)
        assert call(b) == want_b, (a, b)
        assert call(a) == want_a, (a, b)


def test_arrays_that_lie_otherwise_have_plans_of_their_own(plans):
    frame = np.zeros((1, 4, 9, 16), "float32")
    crop = frame[..., 2:7, 3:9]
    crop[...] = X
    channel_last = X.transpose(0, 2, 3, 1).copy().transpose(0, 3, 1, 2)
    inputs = [X, crop, X.astype("float64"), np.asfortranarray(X), channel_last]
    inputs += [X[..., ::-1], X[..., ::-1, :], X[:, :, :4], np.broadcast_to(X[:, :1], X.shape), X.astype(">f4"), X[0]]
    calls = [(x, WEIGHT.astype(x.dtype.newbyteorder("=")), order) for x in inputs for order in (None, "C", "F")]

    def call(x, weight, order):
        out = order and np.empty((*x.shape[:-3], 4, x.shape[-2] - 2, x.shape[-1] - 2), weight.dtype, order)
        return outcome(cgconv.conv2d, x, weight, out=out)

    alone = []
    for each in calls:
        plans.clear()
        alone.append(call(*each))
        assert len(alone[-1]) == 1
    for i in RNG.integers(len(calls), size=500):
        assert call(*calls[i]) == alone[i]
    assert len(plans) > len(inputs)


def test_a_call_like_an_earlier_one_shares_its_plan(plans):
    layer = cgconv.GroupedConvolution2DLayer(3, 2, 2, padding="same", seed=0)
    for _ in range(3):
        y = cgconv.conv2d(X, WEIGHT, padding=[1, 1], padding_value=0.5, clamp=(0.0, 6))
        cgconv.conv2d(X.copy(), WEIGHT, padding=(1, 1), padding_value=0.5, clamp=[0.0, 6], threads=None)
        cgconv.conv2d_backward_input(y, WEIGHT, list(X.shape), padding=1)
        cgconv.conv2d_backward_weight(X, y, np.array(WEIGHT.shape), padding=1)
        layer.backward(X, layer(X))
    assert len(plans) == 6


def test_an_error_leaves_no_plan(plans):
    for keywords in ({"groups": 3}, {"stride": 0}, {"padding": -1}, {"algorithm": "none"}, {"layout": "XY"}):
        with pytest.raises(ValueError):
            cgconv.conv2d(X, WEIGHT, **keywords)
    assert not plans


# ---- settings ----------------------------------------------------------------------------------------------


def threads_of_a_call():
    """The threads of the plan of a call that gives none."""
    p = LARGE[0]
    arguments = ((p.n, p.c, p.h, p.w), (p.c, 1, p.kh, p.kw), np.dtype("float32"), None, None, None, 1, 0, 1, p.g, 0)
    return cache.plan(*arguments, "NCHW").passes["forward"].threads


@needs_openmp
def test_the_default_number_of_threads_is_looked_up_at_each_call(restored_num_threads):
    for n in (1, 3, 2, 1, 3):
        cgconv.set_num_threads(n)
        assert threads_of_a_call() == n


@needs_openmp
def test_a_limit_by_threadpoolctl_is_heard_by_the_next_call():
    threadpoolctl = pytest.importorskip("threadpoolctl", reason="threadpoolctl is not installed")
    before = threads_of_a_call()
    assert before == cgconv.get_num_threads()
    with threadpoolctl.threadpool_limits(limits=1):
        assert threads_of_a_call() == cgconv.get_num_threads() == 1
    assert threads_of_a_call() == before


@needs_fork
def test_a_child_shares_the_plans_of_its_parent_but_not_its_threads():
    script = FORK + """
    sys.path.insert(0, os.getcwd())
    from test_cache import threads_of_a_call
    cgconv.set_num_threads(2)
    want, before = convolve(), threads_of_a_call()
    print(before, in_a_child(lambda: threads_of_a_call() == 1 and same(convolve(), want)), threads_of_a_call())
    """
    assert in_a_new_process(script) == ("2 True 2" if OPENMP else "1 True 1")


@needs_fork
def test_a_child_forked_while_others_make_plans_works():
    script = FORK + """
    import threading
    stop = threading.Event()

    def work():
        h = 3
        while not stop.is_set():
            h = 3 + (h - 2) % 999
            cgconv.conv2d(np.ones((1, 16, h, 3), np.float32), weight, groups=16)

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    want = convolve()
    print(all(in_a_child(lambda: same(convolve(), want)) for _ in range(10)))
    stop.set()
    """
    assert in_a_new_process(script) == "True"


# ---- many callers, many shapes -----------------------------------------------------------------------------


def test_many_threads_may_fill_and_empty_the_cache_at_once(monkeypatch):
    monkeypatch.setattr(cache, "MOST", 3)
    inputs = [RNG.standard_normal((1, 4, 3 + i, 20 - i)).astype("float32") for i in range(12)]
    want = [outcome(cgconv.conv2d, x, WEIGHT, padding="same") for x in inputs]

    def work(i):
        order = np.random.default_rng(i).integers(len(inputs), size=300)
        return all(outcome(cgconv.conv2d, inputs[j], WEIGHT, padding="same") == want[j] for j in order)

    assert all(all_at_once(work))


def test_no_more_plans_are_kept_than_the_bound(plans):
    for i in range(cache.MOST + 20):
        cgconv.conv2d(np.ones((1, 1, 3 + i, 3), "float32"), np.ones((1, 1, 3, 3), "float32"))
        assert len(plans) <= cache.MOST


def test_the_workspaces_of_many_plans_take_the_room_of_the_largest():
    script = """
        import numpy as np, cgconv
        from cgconv import _core
        largest = 0
        for c in (1, 3, 8, 16, 32, 24, 12, 2, 8, 4):
            for k in (3, 7, 5, 1):
                plan = cgconv.Plan((1, c, 40, 40), (c, c, k, k), padding="same", threads=1)
                y = plan.forward(np.ones(plan.input_shape, "f4"), np.ones(plan.weight_shape, "f4"))
                plan.backward_weight(plan.backward_input(y, np.ones(plan.weight_shape, "f4")), y)
                largest = max([largest, *(info.workspace_nbytes for info in plan.passes.values())])
                assert 0 < _core.workspaces_nbytes() <= largest, (_core.workspaces_nbytes(), largest)
        """
    in_a_new_process(script)


def test_the_workspaces_that_many_callers_leave_have_a_bound():
    plan = cgconv.Plan((1, 64, 60, 60), (64, 64, 3, 3), threads=64)
    assert plan.workspace_nbytes * 8 > 64 << 20
    x, weight = np.ones(plan.input_shape, "float32"), np.ones(plan.weight_shape, "float32")
    all_at_once(lambda _: plan.forward(x, weight))
    assert _core.workspaces_nbytes() <= max(64 << 20, plan.workspace_nbytes)


def test_a_run_that_is_given_everything_allocates_nothing():
    plan = cgconv.Plan(X.shape, WEIGHT.shape, padding=1)
    y, dx = plan.forward(X, WEIGHT, BIAS), np.empty_like(X)
    plan.backward_input(y, WEIGHT, dx)
    before = _core.workspaces_nbytes(), sys.getallocatedblocks()
    for _ in range(100):
        plan.forward(X, WEIGHT, BIAS, y)
        plan.backward_input(y, WEIGHT, dx)
    assert _core.workspaces_nbytes() == before[0]
    assert sys.getallocatedblocks() - before[1] < 50


# ---- arrays that run where they stand ----------------------------------------------------------------------


def test_no_run_keeps_hold_of_an_array():
    plan = cgconv.Plan(X.shape, WEIGHT.shape, padding=1)
    x, weight, bias, out = X.copy(), WEIGHT.copy(), BIAS.copy(), plan.forward(X, WEIGHT)
    held = [x, weight, bias, out]
    frozen = out.copy()
    frozen.flags.writeable = False
    before = [sys.getrefcount(a) for a in held]
    for _ in range(50):
        plan.forward(x, weight, bias, out)
        plan.forward(x, weight, bias)
        plan.backward_input(out, weight, x)
        plan.backward_weight(x, out)
        for refused in ((x, weight, bias[:3]), (x, weight[:2]), (x[..., 1:], weight), (x, weight, bias, frozen)):
            with pytest.raises(ValueError):
                plan.forward(*refused)
        with pytest.raises(ValueError, match="shares memory"):
            plan.forward(x, weight, bias, x)
    del refused
    assert [sys.getrefcount(a) for a in held] == before


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_only_the_planned_type_runs_where_it_stands(dtype):
    plan = cgconv.Plan(X.shape, WEIGHT.shape, dtype=dtype)
    y = plan.forward(X, WEIGHT)
    for kind in ("float32", "float64", "int32", "int64", "uint32", ">f4", ">f8", "float16"):
        values = abs(np.round(X)).astype(kind)
        want = plan.forward(abs(np.round(X)).astype(dtype), WEIGHT)
        assert plan.forward(values, WEIGHT).tobytes() == want.tobytes()
        if np.dtype(kind) != np.dtype(dtype):
            with pytest.raises(TypeError, match="out has the type"):
                plan.forward(X, WEIGHT, out=np.empty(y.shape, kind))
    with pytest.raises(TypeError, match="x is a masked array"):
        plan.forward(np.ma.masked_array(X.astype(dtype)), WEIGHT)
    for other in ("complex64", "complex128", "datetime64[s]", "S4"):
        with pytest.raises(TypeError, match="not a real number"):
            plan.forward(np.zeros(X.shape, other), WEIGHT)


def test_a_plan_whose_arrays_are_copied_takes_nothing_where_it_stands():
    plan = cgconv.Plan(X.shape, WEIGHT.shape, x_strides=(2999, 299, 49, 7), y_strides=(2999, 299, 49, 7))
    assert plan.forward(X, WEIGHT).tobytes() == cgconv.conv2d(X, WEIGHT).tobytes()
    for wrong in (np.float32(1), np.array(1, "float32"), np.ones(5, "float32"), np.ones((1, 4, 5, 6, 1), "float32")):
        for arguments in ((wrong, WEIGHT), (X, wrong), (X, WEIGHT, wrong), (X, WEIGHT, None, wrong)):
            with pytest.raises((ValueError, TypeError)):
                plan.forward(*arguments)


def test_a_large_new_array_begins_at_a_cache_line():
    for dtype in ("float32", "float64"):
        x, weight = RNG.standard_normal((2, 3, 200, 131)).astype(dtype), np.ones((3, 3, 1, 1), dtype)
        want = cgconv.conv2d(x, weight)
        for seen in (x, np.asfortranarray(x), x[:, :, ::-1].copy()[:, :, ::-1], x[..., ::-1].copy()[..., ::-1]):
            y, dx = cgconv.conv2d(seen, weight), cgconv.conv2d_backward_input(seen, weight, x.shape)
            for a in (y, dx):
                behind = sum(min(stride, 0) * (extent - 1) for stride, extent in zip(a.strides, a.shape, strict=True))
                assert (a.ctypes.data + behind) % 64 == 0
            assert y.flags.aligned and y.flags.writeable and np.allclose(y, want)


@pytest.mark.parametrize("layout", ["NCHW", "NHWC", "SSCB", "UBTSSC"])
def test_a_new_array_lies_as_the_planned_output(layout):
    fmt = {"NCHW": "BCSS", "NHWC": "BSSC"}.get(layout, layout)
    extents = dict(zip("BCTU", (2, 4, 3, 2), strict=True))
    shape = tuple(extents.get(letter, 6) for letter in fmt)
    for order in "CF":
        x = np.asarray(RNG.standard_normal(shape), "float32", order)
        y = cgconv.conv2d(x, WEIGHT, layout=layout)
        assert y.flags.c_contiguous if order == "C" else y.flags.f_contiguous
        dx = cgconv.conv2d_backward_input(y, WEIGHT, shape, layout=layout)
        assert dx.flags.c_contiguous if order == "C" else dx.flags.f_contiguous
        assert y.flags.writeable and dx.flags.writeable
