"""separable_conv2d: the bits of the two calls that it stands for, what it takes, and what it refuses.

What a convolution is, and how an argument may be written, is tested where conv2d is.
"""

import itertools
import threading

import numpy as np
import pytest

import cgconv
from cgconv import cache
from cgconv.separable import SeparablePlan
from problems import MODES, assert_same_bits
from running import ISAS, THREADS

RNG = np.random.default_rng(0)


def draw(*shape, dtype="float32"):
    return RNG.standard_normal(shape).astype(dtype)


X, DEPTHWISE, POINTWISE = draw(2, 6, 9, 11), draw(12, 1, 3, 3), draw(5, 12, 1, 1)
BIASES = draw(12), draw(5)


def two_calls(x, depthwise, pointwise, bias=None, pointwise_bias=None, *, layout="NCHW", depthwise_clamp=(None, None),
              clamp=(None, None), **geometry):
    channels = x.shape[x.ndim - 4 + layout.index("C")] if x.ndim == 4 else x.shape[layout.replace("N", "").index("C")]
    between = cgconv.conv2d(x, depthwise, bias, groups=channels, layout=layout, clamp=depthwise_clamp, **geometry)
    return cgconv.conv2d(between, pointwise, pointwise_bias, layout=layout, clamp=clamp)


def assert_is_the_two_calls(*arrays, threads=THREADS, **keywords):
    want = two_calls(*arrays, **keywords)
    for count in threads:
        got = cgconv.separable_conv2d(*arrays, threads=count, **keywords)
        assert got.strides == want.strides
        assert_same_bits(got, want, [np.shape(a) for a in arrays], keywords, count)


# ---- the same bits -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_padding_stride_and_dilation_gives_the_bits_of_the_two_calls(mode, dtype):
    arrays = [a.astype(dtype) for a in (X, DEPTHWISE, POINTWISE, *BIASES)]
    value = 1.5 if mode == "constant" else mode
    for stride, padding, dilation in itertools.product([1, 2, (3, 1)], ["same", (0, 2, 3, 1)], [1, (1, 2)]):
        assert_is_the_two_calls(*arrays, stride=stride, padding=padding, dilation=dilation, padding_value=value)


@pytest.mark.parametrize("axes", [(0, 1, 2, 3), (0, 2, 3, 1), (3, 2, 1, 0), (0, 1, 3, 2), (1, 0, 2, 3)])
@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
def test_every_memory_order_gives_the_bits_of_the_two_calls(axes, layout):
    shape = X.shape if layout == "NCHW" else (2, 9, 11, 6)
    x = draw(*(shape[axis] for axis in axes)).transpose(np.argsort(axes))
    for view in (x, x[:, ::-1], x[:, 1:, :-1] if layout == "NHWC" else x[..., 1:, :-1]):
        assert_is_the_two_calls(view, DEPTHWISE, POINTWISE, *BIASES, layout=layout, padding="same")


@pytest.mark.parametrize("shape, filters, size", [
    ((1, 60, 240, 123), 33, 3), ((1, 70, 2, 12000), 3, 3), ((1, 9000, 3, 70), 2, 3), ((9, 130, 40, 40), 48, 5),
    ((0, 3, 5, 5), 4, 3), ((1, 1, 1, 1), 1, 1),
])  # fmt: skip
@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
def test_tiles_meet_without_a_seam(shape, filters, size, layout):
    x = draw(*shape)
    x = x if layout == "NCHW" else np.ascontiguousarray(x.transpose(0, 2, 3, 1))
    arrays = x, draw(shape[1], 1, size, size), draw(filters, shape[1], 1, 1), draw(shape[1]), draw(filters)
    assert_is_the_two_calls(*arrays, layout=layout, padding="same", padding_value="circular" if x.size else 0,
                            depthwise_clamp=(0, 6), clamp=(-1, None))


def test_every_instruction_set_and_algorithm_gives_the_same_bits():
    x, depthwise, pointwise = draw(3, 32, 30, 31), draw(32, 1, 3, 3), draw(40, 32, 1, 1)
    for layout in ("NCHW", "NHWC"):
        view = x if layout == "NCHW" else np.ascontiguousarray(x.transpose(0, 2, 3, 1))
        want = two_calls(view, depthwise, pointwise, layout=layout, padding=1)
        for isa in ISAS:
            def plans(x_shape, weight, **keywords):
                keywords |= {"layout": layout, "isa": isa}  # noqa: B023
                for algorithm in cgconv.Plan(x_shape, weight.shape, **keywords).algorithms:
                    yield cgconv.Plan(x_shape, weight.shape, algorithm=algorithm, **keywords)

            between = next(plans(view.shape, depthwise, groups=32, padding=1)).output_shape
            for first, second in itertools.product(plans(view.shape, depthwise, groups=32, padding=1),
                                                   plans(between, pointwise)):
                got = SeparablePlan(first, second).forward(view, depthwise, pointwise)
                assert_same_bits(got, want, isa, first, second)


def test_the_clamp_between_is_not_the_clamp_behind():
    arrays = X, DEPTHWISE, POINTWISE, *BIASES
    for between, behind in itertools.product([(None, None), (0, 1), (-0.25, None)], repeat=2):
        assert_is_the_two_calls(*arrays, depthwise_clamp=between, clamp=behind)
    assert not np.array_equal(cgconv.separable_conv2d(*arrays, depthwise_clamp=(0, 1)),
                              cgconv.separable_conv2d(*arrays, clamp=(0, 1)))


def test_many_threads_may_share_a_plan():
    x, depthwise, pointwise = draw(2, 16, 50, 50), draw(16, 1, 5, 5), draw(16, 16, 1, 1)
    want, got = two_calls(x, depthwise, pointwise, padding=2), [None] * 8

    def work(i):
        got[i] = cgconv.separable_conv2d(x, depthwise, pointwise, padding=2, threads=1 + i % 2)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(len(got))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for y in got:
        assert_same_bits(y, want)


# ---- what it takes -----------------------------------------------------------------------------------------


def test_the_batch_and_the_biases_may_be_missing():
    assert_is_the_two_calls(X[1], DEPTHWISE, POINTWISE)
    assert_is_the_two_calls(X, DEPTHWISE, POINTWISE, None, BIASES[1])
    assert_is_the_two_calls(X[0].transpose(1, 2, 0), DEPTHWISE, POINTWISE, BIASES[0], layout="NHWC")


def test_types_agree_as_those_of_conv2d_do():
    arrays = np.arange(2 * 6 * 5 * 5).reshape(2, 6, 5, 5), DEPTHWISE[:6], POINTWISE[:, :6]
    assert_is_the_two_calls(*arrays)
    assert cgconv.separable_conv2d(arrays[0], DEPTHWISE[:6].tolist(), POINTWISE[:, :6].astype("f8")).dtype == "f8"
    with pytest.raises(TypeError, match="x has the type float32 and pointwise_bias float64: give both one type"):
        cgconv.separable_conv2d(X, DEPTHWISE, POINTWISE, None, BIASES[1].astype("f8"))


def test_out_is_written_and_returned():
    want = two_calls(X, DEPTHWISE, POINTWISE)
    for out in (np.full(want.shape, np.nan, "f4"), np.full((2, 5, 14, 20), np.nan, "f4")[:, :, ::2, ::-2][..., :9],
                np.full(want.shape, np.nan, "f4", order="F")):
        assert cgconv.separable_conv2d(X, DEPTHWISE, POINTWISE, out=out) is out
        assert_same_bits(out, want, out.strides)


def test_calls_that_are_alike_share_a_plan(monkeypatch):
    monkeypatch.setattr(cache, "_plans", {})
    for padding in ("same", 1, (1, 1), "same"):
        for _ in range(2):
            cgconv.separable_conv2d(X, DEPTHWISE, POINTWISE, padding=padding)
    assert len(cache._plans) == 3
    assert all(isinstance(plan, SeparablePlan) for plan in cache._plans.values())
    assert_same_bits(cgconv.separable_conv2d(X, DEPTHWISE, POINTWISE, padding=1, depthwise_clamp=(0, None)),
                     two_calls(X, DEPTHWISE, POINTWISE, padding=1, depthwise_clamp=(0, None)))


def test_a_plan_says_what_it_needs():
    plan = SeparablePlan(cgconv.Plan((8, 64, 56, 56), (64, 1, 3, 3), groups=64, padding=1, threads=2),
                         cgconv.Plan((8, 64, 56, 56), (128, 64, 1, 1), threads=1))
    assert plan.threads in (1, 2)  # 1 in a build without threads
    assert 64 * 4 * 16 < plan.workspace_nbytes < plan.threads * (3 << 20)


# ---- what it refuses ---------------------------------------------------------------------------------------

REFUSALS = [
    ({"depthwise_weight": DEPTHWISE[:8]}, ValueError,
     "depthwise_weight.shape=(8, 1, 3, 3): must be (M*6, 1, kh, kw), one filter or more for each of the 6 input"),
    ({"depthwise_weight": draw(6, 2, 3, 3)}, ValueError, "depthwise_weight.shape=(6, 2, 3, 3): must be (M*6, 1"),
    ({"depthwise_weight": draw(6, 1, 0, 3)}, ValueError, "depthwise_weight.shape=(6, 1, 0, 3): must be"),
    ({"depthwise_weight": draw(6, 3, 3)}, ValueError, "depthwise_weight has 3 axes: it must have 4, (M*C, 1, kh, kw)"),
    ({"x": X[:, :0]}, ValueError, "the input has 0 channels"),
    ({"pointwise_weight": POINTWISE[:, :6]}, ValueError,
     "pointwise_weight.shape=(5, 6, 1, 1): must be (F, 12, 1, 1), one filter or more over the 12 channels that"),
    ({"pointwise_weight": POINTWISE[..., 0, 0]}, ValueError, "pointwise_weight.shape=(5, 12): must be (F, 12, 1, 1)"),
    ({"pointwise_weight": draw(5, 12, 3, 3)}, ValueError, "pointwise_weight.shape=(5, 12, 3, 3): must be (F, 12"),
    ({"pointwise_weight": POINTWISE[:0]}, ValueError, "pointwise_weight.shape=(0, 12, 1, 1): must be (F, 12, 1, 1)"),
    ({"depthwise_bias": BIASES[1]}, ValueError, "depthwise_bias.shape=(5,): must be (12,), one per output channel"),
    ({"pointwise_bias": BIASES[0]}, ValueError, "pointwise_bias.shape=(12,): must be (5,), one per output channel"),
    ({"depthwise_clamp": (2, 1)}, ValueError, "depthwise_clamp=(2, 1): the lower bound must not exceed"),
    ({"clamp": None}, TypeError, "clamp=None: must be a pair"),
    ({"stride": 0}, ValueError, "stride=0: must be a positive int"),
    ({"padding": -1}, ValueError, "padding=-1: must be"),
    ({"layout": "NXHW"}, ValueError, "layout='NXHW'"),
    ({"layout": 5}, TypeError, "layout=5: must be a str"),
    ({"threads": 0}, ValueError, "threads=0: must be a positive int"),
    ({"x": X[0, 0]}, ValueError, "x has 2 axes: the format 'NCHW' takes 4, or 3 without the batch"),
    ({"x": X[:, :, :2]}, ValueError, "height: the input of 2 padded by 0 and 0 is smaller than the filter"),
    ({"x": X.astype(complex)}, TypeError, "x has the type complex128"),
    ({"out": np.empty((2, 5, 7, 8), "f4")}, ValueError, "out.shape=(2, 5, 7, 8): must be (2, 5, 7, 9)"),
    ({"out": np.empty((2, 5, 7, 9))}, TypeError, "out"),
    ({"out": np.broadcast_to(np.float32(0), (2, 5, 7, 9))}, ValueError, "out"),
]  # fmt: skip


@pytest.mark.parametrize("wrong, kind, says", REFUSALS, ids=lambda v: str(v)[:40] if isinstance(v, str) else "")
def test_a_bad_argument_is_refused_by_name(wrong, kind, says):
    arguments = {"x": X, "depthwise_weight": DEPTHWISE, "pointwise_weight": POINTWISE, **wrong}
    with pytest.raises(kind) as caught:
        cgconv.separable_conv2d(**arguments)
    assert says in str(caught.value)


def test_out_may_not_share_memory_with_an_input():
    weight = draw(5, 12, 1, 1)
    whole = draw(2, 12, 9, 11)
    with pytest.raises(ValueError, match="out shares memory with x"):
        cgconv.separable_conv2d(whole[:, :6], DEPTHWISE, weight, out=whole[:, 2:7, :7, :9])


def test_plans_that_do_not_fit_each_other_are_refused():
    first = cgconv.Plan((1, 4, 6, 6), (4, 1, 3, 3), groups=4)
    for second, says in [
        (cgconv.Plan((1, 4, 4, 4), (2, 4, 3, 3)), "the second plan is not pointwise"),
        (cgconv.Plan((1, 4, 5, 4), (2, 4, 1, 1)), "with h=4, the second reads an input with h=5"),
        (cgconv.Plan((1, 4, 4, 4), (2, 4, 1, 1), dtype="float64"), "different data types"),
    ]:
        with pytest.raises(ValueError, match=says):
            SeparablePlan(first, second)
    with pytest.raises(ValueError, match="groups=1 for c=4"):
        SeparablePlan(cgconv.Plan((1, 4, 4, 4), (2, 4, 1, 1)), first)
