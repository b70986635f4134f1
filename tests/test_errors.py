"""Every bad argument is refused before any work, in a sentence with the argument, its value and the rule.

Each line of a table is a call that is wrong in one way, and what its message must say.
"""

import math
import re

import numpy as np
import pytest

import cgconv

X = np.ones((2, 8, 6, 7), "float32")
WEIGHT = np.ones((12, 2, 3, 3), "float32")  # 4 groups, 3 filters each
BIAS = np.ones(12, "float32")
DY = np.ones((2, 12, 4, 5), "float32")
HUGE = 10**400


class OnGPU:
    def __dlpack_device__(self):
        return (2, 0)

    def __dlpack__(self, **keywords):
        raise AssertionError("nobody may touch this memory")


class OnOldGPU:
    __cuda_array_interface__ = {"shape": (1,)}


class NoRepr:
    def __repr__(self):
        raise RuntimeError("no repr")


def refusal(kind, call, *args, **keywords):
    with pytest.raises(kind) as caught:
        call(*args, **keywords)
    assert caught.type is kind or issubclass(caught.type, ValueError)
    return str(caught.value)


KEYWORDS = [  # keyword, value, exception, what the message says
    ("groups", 3, ValueError, "groups=3 does not divide the 8 input channels"),
    ("groups", 8, ValueError, "groups=8 does not divide the 12 output channels of weight.shape=(12, 2, 3, 3)"),
    (
        "groups",
        2,
        ValueError,
        "weight.shape=(12, 2, 3, 3) takes 2 channels per group, but the input has 8 channels in "
        "groups=2, which makes 4",
    ),
    ("groups", 0, ValueError, "groups=0: must be a positive int"),
    ("groups", -1, ValueError, "groups=-1: must be a positive int"),
    ("groups", 4.0, TypeError, "groups=4.0: must be a positive int"),
    ("groups", True, TypeError, "groups=True: must be a positive int"),
    ("groups", "channel-wise", TypeError, "groups='channel-wise': must be a positive int"),
    ("groups", None, TypeError, "groups=None: must be a positive int"),
    ("groups", 2**70, ValueError, "groups=1180591620717411303424 is too large: the limit is 9223372036854775807"),
    ("groups", HUGE, ValueError, "is too large"),
    ("groups", NoRepr(), TypeError, "groups=<NoRepr>: must be a positive int"),
    ("stride", 0, ValueError, "stride=0: must be a positive int, or two of them (vertical, horizontal)"),
    ("stride", 2.5, TypeError, "stride=2.5: must be a positive int, or two of them"),
    ("stride", 2.0, TypeError, "stride=2.0: must be a positive int, or two of them"),
    ("stride", "2", TypeError, "stride='2': must be a positive int, or two of them"),
    ("stride", (1, 0), ValueError, "stride[1]=0: must be a positive int"),
    ("stride", (1, 2, 3), ValueError, "stride=(1, 2, 3) has 3 items"),
    ("stride", (), ValueError, "stride=() has 0 items"),
    ("stride", [[1, 2]], ValueError, "stride=[[1, 2]] has 1 items"),
    ("stride", np.float32(1), TypeError, "1.0"),
    ("stride", np.bool_(True), TypeError, "must be a positive int"),
    ("stride", HUGE, ValueError, "is too large"),
    ("dilation", -2, ValueError, "dilation=-2: must be a positive int, or two of them (h, w)"),
    ("dilation", (1, None), TypeError, "dilation[1]=None: must be a positive int"),
    ("dilation", {1, 2}, TypeError, "dilation={1, 2}: must be a positive int, or two of them (h, w)"),
    (
        "padding",
        -1,
        ValueError,
        "padding=-1: must be an int, (top and bottom, left and right) or (top, bottom, left, right), "
        "'same' or 'valid'; none negative",
    ),
    ("padding", (1, -2), ValueError, "padding[1]=-2: a pad must be an int that is not negative"),
    ("padding", (1, 2, 3), ValueError, "padding=(1, 2, 3) has 3 items"),
    ("padding", (1,), ValueError, "padding=(1,) has 1 items"),
    ("padding", 1.5, TypeError, "padding=1.5: must be an int"),
    ("padding", True, TypeError, "padding=True: must be an int"),
    ("padding", (True, 1), TypeError, "padding[0]=True: a pad must be an int"),
    ("padding", None, TypeError, "padding=None: must be an int"),
    ("padding", "SAME", ValueError, "padding='SAME': must be ints, 'same' or 'valid'"),
    ("padding", 2**64, ValueError, "is too large: the limit is"),
    (
        "padding_value",
        "reflect",
        ValueError,
        "padding_value='reflect': must be a number, 'symmetric-include-edge', "
        "'symmetric-exclude-edge', 'replicate' or 'circular'",
    ),
    ("padding_value", "", ValueError, "padding_value='': must be a number"),
    ("padding_value", None, TypeError, "padding_value=None: must be a real number"),
    ("padding_value", 1j, TypeError, "padding_value=1j: must be a real number"),
    ("padding_value", np.complex64(1j), TypeError, "must be a real number"),
    ("padding_value", True, TypeError, "padding_value=True: must be a real number"),
    ("padding_value", [1], TypeError, "padding_value=[1]: must be a real number"),
    ("padding_value", np.ones(1), TypeError, "must be a real number"),
    ("padding_value", HUGE, ValueError, "is too large for a float"),
    ("layout", "NCWHX", ValueError, "layout='NCWHX': must be one letter for each axis"),
    ("layout", "BTUUUUUUUUUUUUUUUUUUUUUUUUUUUUUUUUUUUUUUUUUUUUUUCSS", ValueError, "the limit is 32"),
    ("layout", 5, TypeError, "layout=5: must be a str"),
    ("clamp", None, TypeError, "clamp=None: must be a pair (lo, hi), where None is no bound"),
    ("clamp", 6, TypeError, "clamp=6: must be a pair"),
    ("clamp", (0, 1, 2), TypeError, "clamp=(0, 1, 2): must be a pair"),
    ("clamp", (2, 1), ValueError, "clamp=(2, 1): the lower bound must not exceed the upper one"),
    ("clamp", (math.nan, 1), ValueError, "clamp=(nan, 1): a bound must not be NaN"),
    ("clamp", (0, "6"), TypeError, "clamp[1]='6': a bound must be a real number or None"),
    ("clamp", (False, None), TypeError, "clamp[0]=False: a bound must be a real number or None"),
    ("threads", 0, ValueError, "threads=0: must be a positive int, or None for the default"),
    ("threads", -1, ValueError, "threads=-1: must be a positive int"),
    ("threads", 1.0, TypeError, "threads=1.0: must be a positive int"),
    ("threads", 2**31, ValueError, "threads=2147483648 is too large: the limit is 2147483647"),
    ("algorithm", "winograd", ValueError, "winograd"),
    ("algorithm", "", ValueError, ""),
    ("algorithm", "reference\0", ValueError, r"algorithm='reference\x00': no such name"),
    ("algorithm", "référence", ValueError, "algorithm='référence': no such name"),
    ("algorithm", 1, TypeError, "algorithm=1: must be a str"),
]


@pytest.mark.parametrize("keyword, value, kind, words", KEYWORDS, ids=[f"{i}-{k[0]}" for i, k in enumerate(KEYWORDS)])
def test_a_bad_keyword_is_refused_by_every_function(keyword, value, kind, words):
    keywords = {"groups": 4, keyword: value}
    assert words in refusal(kind, cgconv.conv2d, X, WEIGHT, BIAS, **keywords)
    if keyword == "clamp":
        return
    assert words in refusal(kind, cgconv.conv2d_backward_input, DY, WEIGHT, X.shape, **keywords)
    assert words in refusal(kind, cgconv.conv2d_backward_weight, X, DY, WEIGHT.shape, **keywords)
    assert words in refusal(kind, cgconv.Plan, X.shape, WEIGHT.shape, **keywords)


ARRAYS = [  # arguments of conv2d in groups=4 that differ from good ones, exception, what the message says
    ({"x": X.astype(complex)}, TypeError, "x has the type complex128, which is not a real number"),
    ({"weight": WEIGHT.astype("complex64")}, TypeError, "weight has the type complex64, which is not a real number"),
    ({"bias": BIAS.astype(complex)}, TypeError, "bias has the type complex128, which is not a real number"),
    ({"x": X.astype(object)}, TypeError, "x has the type object, which is not a real number"),
    ({"x": X.astype(str)}, TypeError, "which is not a real number"),
    ({"x": X.astype("datetime64[s]")}, TypeError, "which is not a real number"),
    ({"x": X.astype("float64")}, TypeError, "x has the type float64 and weight float32: give both one type"),
    ({"bias": BIAS.astype("float64")}, TypeError, "x has the type float32 and bias float64: give both one type"),
    ({"x": X.astype("longdouble")}, TypeError, "cgconv computes in float32 and float64"),
    ({"x": None}, TypeError, "x has the type object"),
    ({"weight": None}, TypeError, "weight has the type object"),
    ({"x": "photo.png"}, TypeError, "which is not a real number"),
    ({"x": [[1, 2], [3]]}, ValueError, "x is not an array"),
    ({"x": np.ma.masked_array(X)}, TypeError, "x is a masked array"),
    ({"x": OnGPU()}, TypeError, "x, a OnGPU, lies on a device of DLPack kind 2: copy it to the CPU"),
    ({"weight": OnOldGPU()}, TypeError, "weight, a OnOldGPU, lies on a GPU: copy it to the CPU"),
    ({"x": 1.0}, ValueError, "x has 0 axes: the format 'NCHW' takes 4, or 3 without the batch"),
    ({"x": X[:, :0]}, ValueError, "the input has 0 channels: it must have at least 1"),
    ({"x": X[:, :7]}, ValueError, "groups=4 does not divide the 7 input channels"),
    ({"x": X[:, :4]}, ValueError, "weight.shape=(12, 2, 3, 3) takes 2 channels per group, but the input has 4"),
    ({"weight": WEIGHT[0]}, ValueError, "weight has 3 axes: it must have 4, (F*G, C/G, kh, kw)"),
    ({"weight": WEIGHT[:0]}, ValueError, "weight.shape=(0, 2, 3, 3) has 0 output channels: it must have at least 1"),
    ({"weight": WEIGHT[:10]}, ValueError, "groups=4 does not divide the 10 output channels"),
    ({"weight": WEIGHT[:, :, :0]}, ValueError, "has filters of 0 x 3: they need at least one cell"),
    ({"bias": BIAS[:11]}, ValueError, "bias.shape=(11,): must be (12,), one per output channel"),
    ({"bias": BIAS[:, None]}, ValueError, "bias.shape=(12, 1): must be (12,)"),
    ({"bias": 1.0}, ValueError, "bias.shape=(): must be (12,)"),
    ({"out": np.empty((2, 12, 4, 4), "float32")}, ValueError, "out.shape=(2, 12, 4, 4): must be (2, 12, 4, 5)"),
    ({"out": np.empty((12, 4, 5), "float32")}, ValueError, "out.shape=(12, 4, 5): must be (2, 12, 4, 5)"),
    ({"out": np.empty((2, 12, 4, 5))}, TypeError, "out has the type float64: it must be float32, as the result is"),
    ({"out": np.empty((2, 12, 4, 5), ">f4")}, TypeError, "out has the type >f4: it must be float32"),
    ({"out": np.broadcast_to(np.float32(0), (2, 12, 4, 5))}, ValueError, "out is read-only"),
    ({"out": [[0.0]]}, TypeError, "out=[[0.0]]: must be an array"),
    ({"out": OnGPU()}, TypeError, "out, a OnGPU, lies on a device"),
    (
        {"out": np.lib.stride_tricks.as_strided(np.zeros(99, "float32"), (2, 12, 4, 5), (4, 4, 4, 4))},
        ValueError,
        "out has cells that share memory",
    ),
]


@pytest.mark.parametrize(
    "arguments, kind, words", ARRAYS, ids=[f"{i}-{'-'.join(a[0])}" for i, a in enumerate(ARRAYS)]
)
def test_a_bad_array_is_refused(arguments, kind, words):
    good = {"x": X, "weight": WEIGHT, "bias": BIAS}
    assert words in refusal(kind, cgconv.conv2d, **{**good, **arguments}, groups=4)


def test_a_filter_larger_than_the_padded_input_is_refused_with_the_sizes():
    for keywords in ({}, {"padding": 1}, {"dilation": 3}):
        message = refusal(
            ValueError, cgconv.conv2d, np.ones((1, 1, 2, 9), "float32"), np.ones((1, 1, 5, 1), "float32"), **keywords
        )
        assert "2" in message and "5" in message


def test_the_pad_of_an_empty_axis_is_refused_unless_it_is_constant():
    for mode in ("replicate", "circular", "symmetric-include-edge", "symmetric-exclude-edge"):
        for shape in ((1, 1, 0, 5), (1, 1, 5, 0)):
            assert refusal(
                ValueError,
                cgconv.conv2d,
                np.ones(shape, "float32"),
                np.ones((1, 1, 1, 1), "float32"),
                padding=1,
                padding_value=mode,
            )
            assert mode in refusal(ValueError, cgconv.pad2d, np.ones(shape), 1, mode)


SIZES = [
    {"x_shape": (2**62, 8, 6, 7)},
    {"x_shape": (1, 8, 2**31, 2**31)},
    {"x_shape": (2**31, 8, 2**31, 7)},
    {"x_shape": (1, 2**40, 2**20, 2**20), "weight_shape": (4, 2**38, 3, 3)},
    {"padding": 2**62},
    {"padding": (2**63 - 1, 2**63 - 1)},
    {"dilation": 2**62},
    {"padding": 2**40},
    {"stride": 2**63 - 1, "padding": 2**63 - 1},
    {"weight_shape": (2**60 * 4, 2, 3, 3)},
    {"weight_shape": (12, 2, 2**62, 2**62)},
]


@pytest.mark.parametrize("sizes", SIZES, ids=lambda sizes: "-".join(sizes))
def test_sizes_that_overflow_are_refused_before_anything_is_allocated(sizes):
    with pytest.raises((ValueError, MemoryError)):
        cgconv.Plan(**{"x_shape": X.shape, "weight_shape": WEIGHT.shape, "groups": 4, **sizes})


@pytest.mark.parametrize(
    "shape, kind, words",
    [
        (5, TypeError, "x_shape=5: must be a sequence of ints"),
        ("NCHW", TypeError, "x_shape='NCHW': must be a sequence of ints"),
        ((2, 8, -1, 7), ValueError, "x_shape[2]=-1: must be an int, at least 0"),
        ((2, 8, 6.0, 7), TypeError, "x_shape[2]=6.0: must be an int, at least 0"),
        ((2, 8, 6, 2**63), ValueError, "x_shape[3]=9223372036854775808 is too large"),
    ],
)
def test_a_bad_shape_is_refused(shape, kind, words):
    assert words in refusal(kind, cgconv.Plan, shape, WEIGHT.shape, groups=4)
    assert words.replace("x_shape", "input_shape") in refusal(
        kind, cgconv.conv2d_backward_input, DY, WEIGHT, shape, groups=4
    )
    assert words.replace("x_shape", "weight_shape") in refusal(
        kind, cgconv.conv2d_backward_weight, X, DY, shape, groups=4
    )


def test_the_gradient_of_an_output_must_have_its_shape():
    assert "dy.shape=(2, 12, 4, 4): must be (2, 12, 4, 5)" in refusal(
        ValueError, cgconv.conv2d_backward_input, DY[..., :4], WEIGHT, X.shape, groups=4
    )
    assert "dy.shape=(2, 12, 4, 4): must be (2, 12, 4, 5)" in refusal(
        ValueError, cgconv.conv2d_backward_weight, X, DY[..., :4], WEIGHT.shape, groups=4
    )
    assert "input_shape=(8, 6, 7) has 3 axes, and dy has 4" in refusal(
        ValueError, cgconv.conv2d_backward_input, DY, WEIGHT, X.shape[1:], groups=4
    )
    assert "x has 4 axes, and dy has 3" in refusal(
        ValueError, cgconv.conv2d_backward_weight, X, DY[0], WEIGHT.shape, groups=4
    )
    assert "dy has the type float64 and weight float32" in refusal(
        TypeError, cgconv.conv2d_backward_input, DY.astype("float64"), WEIGHT, X.shape, groups=4
    )


def test_an_out_that_shares_memory_with_an_input_is_refused_and_nothing_is_written():
    memory = np.arange(2 * 8 * 6 * 7, dtype="float32")
    x = memory.reshape(2, 8, 6, 7)
    weight = np.eye(8, dtype="float32").reshape(8, 8, 1, 1)
    before = memory.copy()
    assert "out shares memory with x" in refusal(ValueError, cgconv.conv2d, x, weight, out=x)
    assert "out shares memory with x" in refusal(ValueError, cgconv.conv2d, x[:, :, ::-1], weight, out=x)
    assert "out shares memory with x" in refusal(ValueError, cgconv.conv2d, x.view(">f4"), weight, out=x)
    assert "out shares memory with dy" in refusal(ValueError, cgconv.conv2d_backward_input, x, weight, x.shape, out=x)
    small = weight[:, :1].reshape(1, 8, 1, 1)
    assert "out shares memory with weight" in refusal(
        ValueError, cgconv.conv2d, np.ones((1, 1, 1, 1), "float32"), weight[:, :1], out=small
    )
    bias = np.ones(8, "float32")
    assert "out shares memory with bias" in refusal(
        ValueError, cgconv.conv2d, np.ones((1, 8, 1, 1), "float32"), weight, bias, out=bias.reshape(1, 8, 1, 1)
    )
    assert np.array_equal(memory, before)


PLANS = [
    ({"dtype": "float16"}, ValueError, "dtype='float16': must be 'float32' or 'float64'"),
    ({"dtype": ">f4"}, ValueError, "dtype='>f4': must be 'float32' or 'float64'"),
    ({"dtype": "complex64"}, ValueError, "dtype='complex64': must be"),
    ({"dtype": None}, ValueError, "dtype=None: must be"),
    ({"dtype": "image"}, TypeError, "dtype='image': must be"),
    ({"isa": "mmx"}, ValueError, "mmx"),
    ({"isa": 2}, TypeError, "isa=2: must be a str"),
    ({"x_strides": (1, 2, 3)}, ValueError, "x_strides=(1, 2, 3) has 3 items for an array of 4 axes"),
    ({"x_strides": 4}, TypeError, "x_strides=4: must be a sequence of ints"),
    ({"y_strides": (4, 4, 4, 4.0)}, TypeError, "y_strides[3]=4.0: must be an int"),
]


@pytest.mark.parametrize("keywords, kind, words", PLANS, ids=[f"{i}-{'-'.join(p[0])}" for i, p in enumerate(PLANS)])
def test_a_bad_argument_of_a_plan_is_refused(keywords, kind, words):
    assert words in refusal(kind, cgconv.Plan, X.shape, WEIGHT.shape, groups=4, **keywords)


def test_a_plan_refuses_arrays_of_another_shape():
    plan = cgconv.Plan(X.shape, WEIGHT.shape, groups=4)
    assert "x.shape=(1, 8, 6, 7): must be (2, 8, 6, 7)" in refusal(ValueError, plan.forward, X[:1], WEIGHT)
    assert "weight.shape=(12, 2, 3, 2): must be (12, 2, 3, 3)" in refusal(
        ValueError, plan.forward, X, WEIGHT[..., :2]
    )
    assert "x has the type complex64" in refusal(TypeError, plan.forward, X.astype("complex64"), WEIGHT)
    assert "dy.shape=(12, 4, 5): must be (2, 12, 4, 5)" in refusal(ValueError, plan.backward_input, DY[0], WEIGHT)
    assert "dy.shape=(12, 4, 5): must be (2, 12, 4, 5)" in refusal(ValueError, plan.backward_weight, X, DY[0])


@pytest.mark.parametrize(
    "arguments, kind, words",
    [
        (("same",), TypeError, "padding='same'"),
        ((-1,), ValueError, "padding=-1: must be an int"),
        (((1, 2, 3),), ValueError, "padding=(1, 2, 3) has 3 items"),
        ((1, "mirror"), ValueError, "padding_value='mirror': must be a number, 'symmetric-include-edge'"),
        ((1, 256), (ValueError, TypeError), "padding_value=256 "),
        ((1, 0.5), ValueError, "padding_value=0.5 cannot be held by an array of uint8"),
        ((1, -1), (ValueError, TypeError), "padding_value=-1 "),
        ((1, math.nan), ValueError, "padding_value=nan cannot be held by an array of uint8"),
        ((1, 1j), ValueError, "padding_value=1j cannot be held by an array of uint8"),
        ((1, [1]), TypeError, "padding_value=[1]: must be a number"),
        ((1, None), TypeError, "padding_value=None "),
    ],
)
def test_pad2d_refuses_what_it_cannot_do(arguments, kind, words):
    with pytest.raises(kind, match=re.escape(words)):
        cgconv.pad2d(np.ones((1, 3, 3), "uint8"), *arguments)


def test_a_plan_cannot_exist_without_its_problem():
    core = type(cgconv.Plan(X.shape, WEIGHT.shape, groups=4)._core)
    with pytest.raises(TypeError):
        core.__new__(core)


def test_same_gives_an_empty_axis_no_output_and_so_refuses_it():
    with pytest.raises(ValueError, match="height: the input of 0 padded by 1 and 1 is smaller than the filter"):
        cgconv.conv2d(np.ones((1, 1, 0, 5), "float32"), np.ones((1, 1, 3, 3), "float32"), padding="same")
