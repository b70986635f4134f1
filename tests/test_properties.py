"""The properties of a layer: their defaults, what each may be, when each may change, and how they are shown."""

import math

import numpy as np
import pytest

import cgconv
from cgconv import GroupedConvolution2DLayer as Layer

X = np.random.default_rng(3).standard_normal((2, 6, 9, 8)).astype("float32")


def layer(*arguments, **keywords):
    return Layer(*(arguments or ((3, 2), 4, 3)), **{"seed": 0, **keywords})


def test_the_defaults_are_those_of_the_original():
    fresh = Layer(5, 4, 3)
    assert fresh.filter_size == (5, 5)
    assert (fresh.num_filters_per_group, fresh.num_groups, fresh.num_channels_per_group) == (4, 3, "auto")
    assert fresh.stride == fresh.dilation_factor == (1, 1)
    assert (fresh.padding_mode, fresh.padding_size, fresh.padding_value) == ("manual", (0, 0, 0, 0), 0)
    assert (fresh.weights_initializer, fresh.bias_initializer) == ("glorot", "zeros")
    assert fresh.weights is None and fresh.bias is None
    assert (fresh.weight_learn_rate_factor, fresh.bias_learn_rate_factor) == (1, 1)
    assert (fresh.weight_l2_factor, fresh.bias_l2_factor) == (1, 0)
    assert (fresh.name, fresh.data_format, fresh.dtype, fresh.seed) == ("", "BCSS", np.float32, None)
    assert (fresh.num_inputs, fresh.input_names, fresh.num_outputs, fresh.output_names) == (1, ("in",), 1, ("out",))


def test_the_function_makes_the_same_layer():
    made = cgconv.grouped_convolution2d_layer(11, 10, 3, name="gconv1", stride=4)
    assert type(made) is Layer
    assert (made.filter_size, made.num_filters_per_group, made.num_groups) == ((11, 11), 10, 3)
    assert (made.name, made.stride) == ("gconv1", (4, 4))


@pytest.mark.parametrize(
    "padding, mode, size",
    [
        (2, "manual", (2, 2, 2, 2)),
        ((1, 2), "manual", (1, 1, 2, 2)),
        ((1, 2, 3, 4), "manual", (1, 2, 3, 4)),
        ("same", "same", ()),
    ],
)
def test_the_padding_is_a_mode_and_a_size(padding, mode, size):
    assert (layer(padding=padding).padding_mode, layer(padding=padding).padding_size) == (mode, size)


def test_the_size_of_same_padding_is_that_of_the_last_input():
    same = layer(padding="same", stride=2)
    same.initialize((1, 6, 9, 8))
    assert same.padding_size == (1, 1, 0, 0)
    same(np.ones((1, 6, 10, 7), "float32"))
    assert same.padding_size == (0, 1, 0, 1)
    assert same(X).shape == (2, 12, 5, 4)


ARGUMENTS = [
    ({"filter_size": 0}, ValueError, "filter_size=0: must be a positive int, or two of them (h, w)"),
    ({"filter_size": (3, 2.5)}, TypeError, "filter_size[1]=2.5: must be a positive int"),
    ({"filter_size": (1, 2, 3)}, ValueError, "filter_size=(1, 2, 3) has 3 items"),
    ({"num_filters_per_group": 0}, ValueError, "num_filters_per_group=0: must be a positive int"),
    ({"num_filters_per_group": True}, TypeError, "num_filters_per_group=True: must be a positive int"),
    ({"num_groups": 0}, ValueError, "num_groups=0: must be a positive int or 'channel-wise'"),
    ({"num_groups": 2.0}, TypeError, "num_groups=2.0: must be a positive int or 'channel-wise'"),
    ({"num_groups": "all"}, ValueError, "num_groups='all': must be a positive int, 'channel-wise' or 'depthwise'"),
    ({"num_groups": None}, TypeError, "num_groups=None: must be a positive int or 'channel-wise'"),
    ({"num_channels_per_group": 0}, ValueError, "num_channels_per_group=0: must be a positive int or 'auto'"),
    (
        {"num_channels_per_group": "Auto"},
        ValueError,
        "num_channels_per_group='Auto': must be a positive int or 'auto'",
    ),
    ({"num_channels_per_group": 1.5}, TypeError, "num_channels_per_group=1.5: must be a positive int or 'auto'"),
    ({"padding": "full"}, ValueError, "padding='full': must be ints, 'same' or 'valid'"),
    ({"padding": -1}, ValueError, "padding=-1: must be an int"),
    ({"stride": 0}, ValueError, "stride=0: must be a positive int"),
    ({"dilation_factor": (0, 1)}, ValueError, "dilation_factor[0]=0: must be a positive int"),
    ({"padding_value": "mirror"}, ValueError, "padding_value='mirror': must be a number, 'symmetric-include-edge'"),
    ({"padding_value": None}, TypeError, "padding_value=None: must be a real number"),
    (
        {"weights_initializer": "xavier"},
        ValueError,
        "weights_initializer='xavier': must be a function, 'glorot', 'he', 'narrow-normal', 'zeros' or 'ones'",
    ),
    ({"weights_initializer": 0}, TypeError, "weights_initializer=0: must be a function"),
    (
        {"bias_initializer": "glorot"},
        ValueError,
        "bias_initializer='glorot': must be a function, 'zeros', 'narrow-normal' or 'ones'",
    ),
    (
        {"weights": np.ones((3, 3, 2, 4, 3))},
        ValueError,
        "weights.shape=(3, 3, 2, 4, 3): must be h x w x C/G x F x G, here 3 x 2 x any x 4 x 3",
    ),
    ({"weights": np.ones((12, 2, 3, 2))}, ValueError, "weights.shape=(12, 2, 3, 2): must be h x w x C/G x F x G"),
    ({"weights": np.ones((3, 2, 0, 4, 3))}, ValueError, "weights.shape=(3, 2, 0, 4, 3): must be"),
    ({"weights": np.ones((3, 2, 2, 4, 3)), "num_channels_per_group": 1}, ValueError, "here 3 x 2 x 1 x 4 x 3"),
    ({"weights": np.ones((3, 2, 2, 4, 3), complex)}, TypeError, "weights has the type complex128"),
    ({"bias": np.ones(12)}, ValueError, "bias.shape=(12,): must be 1 x 1 x F x G, here 1 x 1 x 4 x 3"),
    ({"bias": "zeros"}, TypeError, "bias has the type <U5"),
    (
        {"weight_learn_rate_factor": -1},
        ValueError,
        "weight_learn_rate_factor=-1: must be a finite number that is not negative",
    ),
    ({"bias_learn_rate_factor": math.nan}, ValueError, "bias_learn_rate_factor=nan: must be a finite number"),
    ({"weight_l2_factor": math.inf}, ValueError, "weight_l2_factor=inf: must be a finite number"),
    ({"bias_l2_factor": "1"}, TypeError, "bias_l2_factor='1': must be a finite number"),
    ({"name": 5}, TypeError, "name=5: must be a str"),
    ({"data_format": "SSCBB"}, ValueError, "data_format='SSCBB': must be one letter for each axis"),
    ({"dtype": "float16"}, ValueError, "dtype='float16': must be 'float32' or 'float64'"),
    ({"seed": -1}, ValueError, "seed=-1: must be an int that is not negative, None or a numpy.random.Generator"),
    ({"seed": 1.5}, TypeError, "seed=1.5: must be an int"),
    ({"seed": True}, TypeError, "seed=True: must be an int"),
]


@pytest.mark.parametrize(
    "keywords, kind, words", ARGUMENTS, ids=[f"{i}-{'-'.join(a[0])}" for i, a in enumerate(ARGUMENTS)]
)
def test_a_bad_property_is_refused_by_the_constructor_and_when_it_is_set(keywords, kind, words):
    good = {"filter_size": (3, 2), "num_filters_per_group": 4, "num_groups": 3}
    with pytest.raises(kind) as caught:
        Layer(**{**good, **keywords})
    assert words in str(caught.value)
    name, value = next(iter(keywords.items()))
    if len(keywords) == 1 and name not in ("padding", "data_format", "dtype", "seed"):
        made = Layer(**good)
        before = getattr(made, name)
        with pytest.raises(kind) as caught:
            setattr(made, name, value)
        assert words in str(caught.value)
        assert getattr(made, name) is before


@pytest.mark.parametrize(
    "name, value, shown",
    [
        ("stride", 2, (2, 2)),
        ("dilation_factor", (1, 3), (1, 3)),
        ("padding_value", "circular", "circular"),
        ("padding_value", "symmetricexcludeedge", "symmetric-exclude-edge"),
        ("name", "conv", "conv"),
        ("weights_initializer", "narrownormal", "narrow-normal"),
        ("bias_initializer", "ones", "ones"),
        ("weight_learn_rate_factor", 0.5, 0.5),
        ("bias_learn_rate_factor", 2.0, 2),
        ("weight_l2_factor", 0, 0),
        ("bias_l2_factor", np.float32(0.25), 0.25),
    ],
)
def test_a_property_can_be_set_at_any_time(name, value, shown):
    made = layer()
    made(X)
    setattr(made, name, value)
    assert getattr(made, name) == shown
    made(X)


@pytest.mark.parametrize("name", ["padding_mode", "padding_size", "data_format", "dtype", "seed"])
def test_what_follows_from_the_constructor_is_read_only(name):
    with pytest.raises(AttributeError):
        setattr(layer(), name, getattr(layer(), name))


@pytest.mark.parametrize(
    "name, value",
    [("filter_size", 5), ("num_filters_per_group", 2), ("num_groups", 2), ("num_channels_per_group", 2)],
)
def test_what_shapes_the_weights_cannot_change_while_there_are_any(name, value):
    made = layer()
    made(X)
    with pytest.raises(ValueError, match=f"{name}={value}: cannot change while the layer has weights"):
        setattr(made, name, value)
    made.weights = made.bias = None
    made.num_channels_per_group = "auto"
    setattr(made, name, value)
    made.initialize((6, 9, 8))
    assert made.weights.shape == (
        *made.filter_size,
        made.num_channels_per_group,
        made.num_filters_per_group,
        made.num_groups,
    )


def test_an_unknown_argument_is_refused():
    with pytest.raises(TypeError, match="strides"):
        Layer(3, 1, 1, strides=2)


FRESH = """\
  GroupedConvolution2DLayer with properties:

                     Name: 'gconv1'

   Hyperparameters
               FilterSize: [11 11]
                NumGroups: 3
      NumChannelsPerGroup: 'auto'
       NumFiltersPerGroup: 10
                   Stride: [1 1]
           DilationFactor: [1 1]
              PaddingMode: 'manual'
              PaddingSize: [0 0 0 0]
             PaddingValue: 0

   Learnable Parameters
                  Weights: []
                     Bias: []"""


def test_a_fresh_layer_shows_its_properties():
    fresh = cgconv.grouped_convolution2d_layer(11, 10, 3, name="gconv1")
    assert str(fresh) == repr(fresh) == FRESH


def test_a_layer_in_use_shows_what_has_been_settled():
    made = layer(3, 1, "channelwise", stride=(2, 1), padding="same", padding_value="replicate")
    shown = dict(line.strip().split(": ", 1) for line in str(made).splitlines() if ": " in line)
    assert shown["NumGroups"] == "'channel-wise'" and shown["PaddingMode"] == "'same'"
    assert shown["PaddingSize"] == "[]" and shown["PaddingValue"] == "'replicate'"
    made(X)
    shown = dict(line.strip().split(": ", 1) for line in str(made).splitlines() if ": " in line)
    assert shown["NumGroups"] == "6" and shown["NumChannelsPerGroup"] == "1" and shown["Stride"] == "[2 1]"
    assert shown["PaddingSize"] == "[1 1 1 1]"
    assert shown["Weights"] == "[3x3x1x1x6 float32]" and shown["Bias"] == "[1x1x1x6 float32]"
    assert "PaddingValue: 2.5\n" in str(layer(padding_value=2.5))
