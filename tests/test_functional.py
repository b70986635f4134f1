"""The functions and Plan: what each argument means, which arrays are taken and how, and what comes back.

Numbers are compared with NumPy's pad and einsum; bits, formats and gradients have their own tests.
"""

import array
import math
import threading

import numpy as np
import pytest

import cgconv
from cgconv import arrays

RNG = np.random.default_rng(0)
X = RNG.integers(-9, 10, (2, 4, 7, 8)).astype("float32")
WEIGHT = RNG.integers(-9, 10, (6, 2, 3, 2)).astype("float32")  # 2 groups, 3 filters each
BIAS = RNG.integers(-9, 10, 6).astype("float32")
NUMPY_MODES = {
    "symmetric-include-edge": "symmetric",
    "symmetric-exclude-edge": "reflect",
    "replicate": "edge",
    "circular": "wrap",
}


def expected(x, weight, bias, pads=(0, 0, 0, 0), stride=(1, 1), dilation=(1, 1), groups=2, value=0):
    top, bottom, left, right = pads
    options = {"mode": NUMPY_MODES[value]} if isinstance(value, str) else {"constant_values": value}
    xp = np.pad(x.astype("float64"), ((0, 0), (0, 0), (top, bottom), (left, right)), **options)
    (kh, kw), (dh, dw) = weight.shape[2:], dilation
    windows = np.lib.stride_tricks.sliding_window_view(xp, ((kh - 1) * dh + 1, (kw - 1) * dw + 1), (2, 3))
    windows = windows[:, :, :: stride[0], :: stride[1], ::dh, ::dw]
    n, c, oh, ow = windows.shape[:4]
    y = np.einsum(
        "ngcijuv,gfcuv->ngfij",
        windows.reshape(n, groups, c // groups, oh, ow, kh, kw),
        weight.astype("float64").reshape(groups, -1, c // groups, kh, kw),
    ).reshape(n, -1, oh, ow)
    return y + bias.reshape(-1, 1, 1)


def conv(x=X, weight=WEIGHT, bias=BIAS, **keywords):
    return cgconv.conv2d(x, weight, bias, **{"groups": 2, **keywords})


@pytest.mark.parametrize(
    "padding, pads",
    [
        (0, (0, 0, 0, 0)),
        (2, (2, 2, 2, 2)),
        ((1, 3), (1, 1, 3, 3)),
        ([1, 3], (1, 1, 3, 3)),
        ((0, 1, 2, 3), (0, 1, 2, 3)),
        (np.array([0, 1, 2, 3]), (0, 1, 2, 3)),
        (np.int8(2), (2, 2, 2, 2)),
        (np.array(2), (2, 2, 2, 2)),
        ("valid", (0, 0, 0, 0)),
        ("same", (1, 1, 0, 1)),
    ],
)
def test_padding_can_be_written_in_many_ways(padding, pads):
    assert conv(padding=padding).tolist() == expected(X, WEIGHT, BIAS, pads).tolist()


@pytest.mark.parametrize(
    "stride, dilation", [(1, 1), (2, 1), ((1, 3), 2), (np.int32(3), (2, 1)), ([2, 1], (np.uint8(1), 3))]
)
def test_stride_and_dilation_are_one_int_or_two(stride, dilation):
    pairs = [(v, v) if np.ndim(v) == 0 else tuple(map(int, v)) for v in (stride, dilation)]
    y = conv(stride=stride, dilation=dilation, padding=1)
    assert y.tolist() == expected(X, WEIGHT, BIAS, (1, 1, 1, 1), *pairs).tolist()


@pytest.mark.parametrize("value", [0, 2.5, -1, np.float32(3), np.int64(4), *NUMPY_MODES])
def test_a_padding_value_is_a_number_or_a_rule(value):
    y = conv(padding=(1, 2), padding_value=value)
    assert y.tolist() == expected(X, WEIGHT, BIAS, (1, 1, 2, 2), value=value).tolist()
    if isinstance(value, str):
        assert conv(padding=(1, 2), padding_value=value.replace("-", "")).tolist() == y.tolist()


@pytest.mark.parametrize(
    "extent, kernel, stride, dilation",
    [
        (extent, kernel, stride, dilation)
        for extent in (1, 2, 5, 6)
        for kernel in (1, 2, 3, 5)
        for stride in (1, 2, 3, 7)
        for dilation in (1, 2)
    ],
)
def test_same_padding_keeps_the_size_over_the_stride_and_puts_the_odd_cell_behind(extent, kernel, stride, dilation):
    total = max(0, (math.ceil(extent / stride) - 1) * stride + (kernel - 1) * dilation + 1 - extent)
    plan = cgconv.Plan(
        (1, 1, extent, 9), (1, 1, kernel, 1), padding="same", stride=(stride, 1), dilation=(dilation, 1)
    )
    assert plan.padding == (total // 2, total - total // 2, 0, 0)
    assert plan.output_shape == (1, 1, math.ceil(extent / stride), 9)


def test_without_a_bias_the_sum_begins_at_zero():
    assert conv(bias=None).tolist() == expected(X, WEIGHT, np.zeros(6)).tolist()


@pytest.mark.parametrize(
    "clamp", [(None, None), (0, None), (None, 6), (0, 6), (-3, -3), [np.float32(0), 6.5], (-math.inf, 2)]
)
def test_a_clamp_bounds_the_result(clamp):
    lo, hi = (-math.inf if clamp[0] is None else clamp[0]), (math.inf if clamp[1] is None else clamp[1])
    assert conv(clamp=clamp).tolist() == np.clip(conv(), lo, hi).tolist()


def test_a_clamp_lets_nan_through():
    y = cgconv.conv2d(np.array([[[[np.nan, 9, -9]]]], "float32"), np.ones((1, 1, 1, 1), "float32"), clamp=(0, 6))
    assert np.isnan(y[0, 0, 0, 0]) and y[0, 0, 0, 1:].tolist() == [6, 0]


# ---- data types --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_result_has_the_type_of_the_arrays(dtype):
    y = conv(X.astype(dtype), WEIGHT.astype(dtype), BIAS.astype(dtype))
    dx = cgconv.conv2d_backward_input(y, WEIGHT.astype(dtype), X.shape, groups=2)
    dw, db = cgconv.conv2d_backward_weight(X.astype(dtype), y, WEIGHT.shape, groups=2)
    assert {a.dtype for a in (y, dx, dw, db)} == {np.dtype(dtype)}


@pytest.mark.parametrize("kind", ["uint8", "int8", "int16", "uint32", "int64", "bool", "float16", ">i4"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_integers_bools_and_halves_follow_the_type_of_the_others(kind, dtype):
    x = abs(X).astype(kind)
    y = conv(x, WEIGHT.astype(dtype), BIAS.astype(dtype))
    assert y.dtype == dtype
    assert y.tolist() == expected(x, WEIGHT, BIAS).tolist()
    assert conv(X.astype(dtype), WEIGHT.astype("int8"), BIAS.astype("int8")).dtype == dtype


def test_integers_alone_are_computed_in_float32():
    y = conv(X.astype("int16"), WEIGHT.astype("int16"), BIAS.astype("int16"))
    assert y.dtype == np.float32
    assert y.tolist() == conv().tolist()


def test_lists_have_no_type_of_their_own():
    for dtype in ("float32", "float64"):
        y = conv(X.astype(dtype), WEIGHT.astype(dtype), BIAS.tolist())
        assert y.dtype == dtype and y.tolist() == conv().tolist()
    assert cgconv.conv2d([[[[1.5]]]], [[[[2.0]]]]).dtype == np.float32


def test_the_other_byte_order_and_a_misaligned_array_give_the_same():
    swapped = conv(X.astype(">f4"), WEIGHT.astype(">f4"), BIAS.astype(">f4"))
    assert swapped.dtype.isnative and swapped.tolist() == conv().tolist()

    def misaligned(a):
        raw = np.empty(a.nbytes + 1, "uint8")[1:].view(a.dtype).reshape(a.shape)
        raw[...] = a
        assert not raw.flags.aligned
        return raw

    assert conv(misaligned(X), misaligned(WEIGHT), misaligned(BIAS)).tolist() == conv().tolist()
    out = misaligned(conv())
    out[...] = 0
    assert conv(out=out) is out and out.tolist() == conv().tolist()


def test_strides_that_are_no_multiple_of_the_element_are_copied():
    pixels = np.zeros((2, 4, 7, 8), np.dtype([("value", "float32"), ("tag", "uint8")]))  # 5 bytes a cell
    pixels["value"] = X
    assert conv(pixels["value"]).tolist() == conv().tolist()


# ---- arrays of others --------------------------------------------------------------------------------------


class ArrayInterface:
    def __init__(self, a):
        self.__array_interface__ = a.__array_interface__
        self.kept = a


class DLPack:
    def __init__(self, a, device=(1, 0)):
        self.a, self.device = a, device

    def __dlpack__(self, **keywords):
        return self.a.__dlpack__(**keywords)

    def __dlpack_device__(self):
        return self.device


@pytest.mark.parametrize(
    "wrap",
    [ArrayInterface, DLPack, memoryview, lambda a: a.view(np.recarray)],
    ids=["array interface", "DLPack", "buffer", "subclass"],
)
def test_arrays_of_others_are_read_where_they_are(wrap):
    x = X.copy()
    wrapped = wrap(x)
    assert np.shares_memory(arrays.as_array("x", wrapped), x)
    y = conv(wrapped, wrap(WEIGHT.copy()), wrap(BIAS.copy()))
    assert type(y) is np.ndarray and y.tolist() == conv().tolist()


@pytest.mark.parametrize("wrap", [ArrayInterface, DLPack, memoryview])
def test_an_output_of_others_is_written_where_it_is_and_is_returned(wrap):
    memory = np.zeros_like(conv())
    out = wrap(memory)
    if not arrays.as_array("out", out).flags.writeable:
        pytest.skip("this NumPy reads DLPack only")
    assert conv(out=out) is out
    assert memory.tolist() == conv().tolist()


def test_an_array_of_the_standard_library_is_an_array():
    values = array.array("f", range(6))
    y = cgconv.conv2d(np.ones((1, 1, 2, 2), "float32"), np.ones((6, 1, 1, 1), "float32"), values)
    assert y[0, :, 0, 0].tolist() == [1, 2, 3, 4, 5, 6]


def test_a_read_only_array_is_read():
    frozen = [a.copy() for a in (X, WEIGHT, BIAS)]
    for a in frozen:
        a.flags.writeable = False
    assert conv(*frozen).tolist() == conv().tolist()


# ---- out ---------------------------------------------------------------------------------------------------


def test_out_is_filled_and_returned():
    out = np.full_like(conv(), np.nan)
    assert conv(out=out) is out
    assert out.tolist() == conv().tolist()
    dx = np.full_like(X, np.nan)
    assert cgconv.conv2d_backward_input(out, WEIGHT, X.shape, groups=2, out=dx) is dx
    assert dx.tolist() == cgconv.conv2d_backward_input(out, WEIGHT, X.shape, groups=2).tolist()


def test_an_out_between_the_rows_of_the_input_is_written_without_harm():
    both = np.zeros((2, 1, 4, 2, 5), "float32")
    x, out = both[:, :, :, 0], both[:, :, :, 1]
    x[...] = RNG.integers(-9, 10, x.shape)
    before = x.copy()
    assert not np.shares_memory(x, out) and np.may_share_memory(x, out)
    weight = np.ones((1, 1, 3, 3), "float32")
    assert cgconv.conv2d(x, weight, padding=1, out=out) is out
    assert out.tolist() == cgconv.conv2d(before, weight, padding=1).tolist()
    assert x.tolist() == before.tolist()


def test_an_out_with_a_pitch_is_written_and_nothing_else():
    y = conv()
    for axis in range(4):
        whole = np.full([extent + 3 * (i == axis) for i, extent in enumerate(y.shape)], -7, "float32")
        out = whole[tuple(slice(1, 1 + extent) if i == axis else slice(None) for i, extent in enumerate(y.shape))]
        conv(out=out)
        assert out.tolist() == y.tolist()
        out[...] = -7
        assert (whole == -7).all()


# ---- plans -------------------------------------------------------------------------------------------------


def test_a_plan_says_what_it_will_do():
    plan = cgconv.Plan(X.shape, WEIGHT.shape, groups=2, padding="same", dtype="float64")
    assert (plan.input_shape, plan.weight_shape, plan.output_shape) == (X.shape, WEIGHT.shape, (2, 6, 7, 8))
    assert plan.dtype == np.float64 and plan.padding == (1, 1, 0, 1)
    assert set(plan.passes) == {"forward", "backward_input", "backward_weight"}
    for info in plan.passes.values():
        assert info.algorithm in info.algorithms and info.algorithms[-1] == "reference"
        assert info.threads >= 1 and info.workspace_nbytes >= 0
    assert (plan.algorithm, plan.algorithms) == plan.passes["forward"][:2]
    assert plan.workspace_nbytes == plan.passes["forward"].workspace_nbytes
    assert "(2, 4, 7, 8) * (6, 2, 3, 2) -> (2, 6, 7, 8), float64" in repr(plan)


def test_planes_under_filters_of_one_cell_are_read_where_they_stand():
    plan = cgconv.Plan((1, 144, 56, 56), (24, 144, 1, 1), algorithm="grouped-pixels")
    line = cgconv.Plan((1, 144, 1, 56 * 56), (24, 144, 1, 1), algorithm="grouped-pixels")
    assert plan.workspace_nbytes == line.workspace_nbytes  # without room for a copy


@pytest.mark.parametrize("isa", cgconv.isa_alternatives())
def test_a_plan_can_be_made_for_each_instruction_set(isa):
    plan = cgconv.Plan(X.shape, WEIGHT.shape, groups=2, isa=isa)
    assert plan.isa == isa
    assert plan.forward(X, WEIGHT, BIAS).tolist() == conv().tolist()
    assert cgconv.Plan(X.shape, WEIGHT.shape, groups=2).isa == cgconv.show_config("dicts")["isa"]


def test_a_plan_runs_all_three_passes_again_and_again():
    plan = cgconv.Plan(X.shape, WEIGHT.shape, groups=2, padding=1)
    for factor in (1, 2):
        x = factor * X
        y = conv(x, padding=1)
        assert plan.forward(x, WEIGHT, BIAS).tolist() == y.tolist()
        dx = cgconv.conv2d_backward_input(y, WEIGHT, X.shape, groups=2, padding=1)
        assert plan.backward_input(y, WEIGHT).tolist() == dx.tolist()
        dw, db = cgconv.conv2d_backward_weight(x, y, WEIGHT.shape, groups=2, padding=1)
        assert [a.tolist() for a in plan.backward_weight(x, y)] == [dw.tolist(), db.tolist()]


def test_a_plan_copies_what_lies_otherwise_than_planned():
    plan = cgconv.Plan(X.shape, WEIGHT.shape, groups=2)
    for x in (np.asfortranarray(X), X.astype("float64"), X[:, :, ::-1].copy()[:, :, ::-1], X.tolist()):
        assert plan.forward(x, WEIGHT, BIAS).tolist() == conv().tolist()
    out = np.empty(plan.output_shape, "float32", "F")
    assert plan.forward(X, WEIGHT, BIAS, out=out) is out and out.tolist() == conv().tolist()


def test_a_plan_for_a_crop_runs_it_where_it_stands(monkeypatch):
    frame = np.zeros((2, 4, 20, 30), "float32")
    crop = frame[:, :, 5:12, 6:14]
    crop[...] = X
    plan = cgconv.Plan(crop.shape, WEIGHT.shape, groups=2, x_strides=crop.strides)
    assert plan.forward(X, WEIGHT, BIAS).tolist() == conv().tolist()
    out, y = np.empty(plan.output_shape, "float32"), conv()
    monkeypatch.setattr(arrays, "empty", None)
    assert plan.forward(crop, WEIGHT, BIAS, out=out).tolist() == y.tolist()


def test_a_plan_for_cells_that_share_memory_takes_nothing_else():
    row = np.arange(8, dtype="float32")
    x = np.broadcast_to(row, (2, 4, 7, 8))
    plan = cgconv.Plan(x.shape, WEIGHT.shape, groups=2, x_strides=x.strides)
    assert plan.forward(x, WEIGHT).tolist() == cgconv.conv2d(x.copy(), WEIGHT, groups=2).tolist()
    with pytest.raises(ValueError, match="the plan is for an array whose cells share memory"):
        plan.forward(X, WEIGHT)


def test_one_plan_serves_many_threads_at_once():
    shape = (4, 8, 40, 40)
    images = [RNG.standard_normal(shape).astype("float32") for _ in range(6)]
    weight = RNG.standard_normal((16, 4, 3, 3)).astype("float32")
    plan = cgconv.Plan(shape, weight.shape, groups=2, padding=1)
    want = [(plan.forward(x, weight), plan.backward_weight(x, plan.forward(x, weight))[0]) for x in images]
    wrong, start = [], threading.Barrier(len(images))

    def work(x, y, dw):
        start.wait()
        for _ in range(10):
            got = plan.forward(x, weight)
            if got.tobytes() != y.tobytes() or plan.backward_weight(x, got)[0].tobytes() != dw.tobytes():
                wrong.append(x)

    workers = [threading.Thread(target=work, args=(x, *results)) for x, results in zip(images, want, strict=True)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not wrong


@pytest.mark.parametrize("threads", [None, 1, 2, 100])
def test_the_number_of_threads_changes_no_bit(threads):
    assert conv(threads=threads).tobytes() == conv().tobytes()


def test_every_algorithm_can_be_asked_for_by_name():
    for name in cgconv.Plan(X.shape, WEIGHT.shape, groups=2).algorithms:
        assert cgconv.Plan(X.shape, WEIGHT.shape, groups=2, algorithm=name).algorithm == name
        assert conv(algorithm=name).tobytes() == conv().tobytes()
