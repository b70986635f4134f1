"""GroupedConvolution2DLayer: when it is initialised, its weights in their own order, its passes and its copies.

Results are compared with the functions, which have their own tests.
"""

import copy
import pickle
import threading

import numpy as np
import pytest

import cgconv
from cgconv import GroupedConvolution2DLayer as Layer

RNG = np.random.default_rng(3)
X = RNG.standard_normal((2, 6, 9, 8)).astype("float32")


def layer(*arguments, **keywords):
    return Layer(*(arguments or ((3, 2), 4, 3)), **{"seed": 0, **keywords})


# ---- initialisation ----------------------------------------------------------------------------------------


def test_the_first_input_settles_groups_channels_and_weights():
    fresh = layer()
    y = fresh(X)
    assert y.shape == (2, 12, 7, 7) and y.dtype == np.float32
    assert (fresh.num_groups, fresh.num_channels_per_group) == (3, 2)
    assert fresh.weights.shape == (3, 2, 2, 4, 3) and fresh.bias.shape == (1, 1, 4, 3)


@pytest.mark.parametrize("word", ["channel-wise", "channelwise", "depthwise"])
def test_channel_wise_means_as_many_groups_as_channels(word):
    fresh = layer(3, 2, word)
    assert fresh.num_groups == "channel-wise"
    fresh.initialize((6, 9, 8))
    assert (fresh.num_groups, fresh.num_channels_per_group) == (6, 1)
    assert fresh.weights.shape == (3, 3, 1, 2, 6)


def test_initialising_again_changes_nothing():
    fresh = layer()
    fresh.initialize(X.shape)
    weights, bias = fresh.weights.copy(), fresh.bias.copy()
    fresh.initialize((6, 30, 30))
    fresh(X)
    assert np.array_equal(fresh.weights, weights) and np.array_equal(fresh.bias, bias)


def test_what_is_given_is_kept_and_the_rest_is_drawn():
    given = RNG.standard_normal((3, 2, 2, 4, 3))
    fresh = layer(weights=given, bias_initializer="ones")
    fresh.initialize(X.shape)
    assert np.array_equal(fresh.weights, given.astype("float32"))
    assert fresh.bias.tolist() == np.ones((1, 1, 4, 3)).tolist()
    fresh = layer(bias=np.full((1, 1, 4, 3), 7))
    fresh.initialize(X.shape)
    assert fresh.bias.tolist() == np.full((1, 1, 4, 3), 7).tolist() and fresh.weights.any()


def test_a_weight_set_to_none_is_drawn_anew():
    fresh = layer()
    fresh.initialize(X.shape)
    before = fresh.weights.copy()
    fresh.weights = None
    assert fresh.weights is None and fresh.bias is not None
    fresh(X)
    assert fresh.weights.shape == before.shape and not np.array_equal(fresh.weights, before)


def test_the_data_format_says_where_the_channels_are():
    for data_format, shape in (("SSCB", (9, 8, 6, 2)), ("HWC", (9, 8, 6)), ("BTCSS", (2, 3, 6, 9, 8))):
        fresh = layer(3, 1, "channel-wise", data_format=data_format)
        fresh.initialize(shape)
        assert fresh.num_groups == 6 and fresh.data_format == data_format


def test_only_one_of_many_threads_draws_the_weights():
    drawn = []

    def weights(shape):
        drawn.append(threading.get_ident())
        return RNG.standard_normal(shape)

    fresh = layer(weights_initializer=weights)
    start, results = threading.Barrier(8), []

    def work():
        start.wait()
        results.append(fresh(X).tobytes())

    workers = [threading.Thread(target=work) for _ in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(drawn) == 1 and len(set(results)) == 1 and len(results) == 8


REFUSED = [  # keywords of layer(), the input shape, what the message says
    ({}, (2, 8, 9, 8), "num_groups=3 does not divide the 8 input channels"),
    ({}, (2, 0, 9, 8), "the input has 0 channels"),
    ({}, (2, 6, 9), None),
    ({}, (9, 8), "input_shape has 2 axes: the format 'BCSS' takes 4, or 3 without the batch"),
    ({}, (2, 6, 2, 8), "height: the input of 2"),
    (
        {"num_channels_per_group": 3},
        (2, 6, 9, 8),
        "num_channels_per_group=3: the 6 input channels in num_groups=3 make 2",
    ),
    (
        {"weights": np.ones((3, 2, 5, 4, 3))},
        (2, 6, 9, 8),
        "weights.shape=(3, 2, 5, 4, 3): must be h x w x C/G x F x G, here 3 x 2 x 2 x 4 x 3",
    ),
    (
        {"weights_initializer": lambda shape: np.ones(shape[:-1])},
        (2, 6, 9, 8),
        "weights_initializer was asked for the shape (3, 2, 2, 4, 3) and returned (3, 2, 2, 4)",
    ),
    (
        {"bias_initializer": lambda shape: np.ones(4)},
        (2, 6, 9, 8),
        "bias_initializer was asked for the shape (1, 1, 4, 3) and returned (4,)",
    ),
]


@pytest.mark.parametrize("keywords, shape, words", REFUSED, ids=range(len(REFUSED)))
def test_an_input_that_does_not_fit_is_refused_and_changes_nothing(keywords, shape, words):
    fresh = layer(**keywords)
    before = repr(fresh)
    with pytest.raises(ValueError) as caught:
        fresh.initialize(shape)
    assert words is None or words in str(caught.value)
    with pytest.raises(ValueError):
        fresh.forward(np.ones(shape, "float32"))
    assert repr(fresh) == before
    assert fresh.bias is None


def test_an_initialised_layer_refuses_another_number_of_channels():
    ready = layer()
    ready(X)
    with pytest.raises(ValueError, match="num_channels_per_group=2: the 12 input channels in num_groups=3 make 4"):
        ready(np.ones((1, 12, 9, 8)))
    channel_wise = layer(3, 1, "channel-wise")
    channel_wise(X)
    with pytest.raises(ValueError, match="num_groups=6 does not divide the 5 input channels"):
        channel_wise(X[:, :5])


# ---- weights -----------------------------------------------------------------------------------------------


def test_weights_are_a_view_in_their_own_order_of_what_the_kernels_use():
    weights = RNG.standard_normal((3, 2, 2, 4, 3)).astype("float32")
    bias = RNG.standard_normal((1, 1, 4, 3)).astype("float32")
    made = layer(weights=weights, bias=bias)
    y = made(X)
    for g in range(3):
        for f in range(4):
            alone = cgconv.conv2d(
                X[:, 2 * g : 2 * g + 2], weights[:, :, :, f, g].transpose(2, 0, 1)[None], bias[0, 0, f, g][None]
            )
            assert y[:, g * 4 + f].tobytes() == alone[:, 0].tobytes()
    made.weights[...] = 0
    made.bias[0, 0, 3, 1] = 5
    assert made(X)[:, 7].tolist() == np.full((2, 7, 7), 5).tolist()


def test_weights_that_are_set_are_copied():
    weights = np.ones((3, 2, 2, 4, 3), "float32")
    made = layer(weights=weights)
    weights[...] = 2
    assert (made.weights == 1).all()
    made.weights += 1
    made.weights -= 0.5 * made.weights
    assert (made.weights == 1).all() and made.weights.shape == weights.shape


def test_weights_take_the_type_of_the_layer():
    for dtype in ("float32", "float64"):
        made = layer(weights=np.ones((3, 2, 2, 4, 3), "int8"), bias=np.ones((1, 1, 4, 3), ">f8"), dtype=dtype)
        assert made.weights.dtype == made.bias.dtype == dtype
        made(X)


def test_learnables_list_each_parameter_with_its_factors():
    made = layer(weight_learn_rate_factor=2, bias_learn_rate_factor=3, weight_l2_factor=4, bias_l2_factor=5)
    assert [p.value for p in made.learnables()] == [None, None]
    made(X)
    weights, bias = made.learnables()
    assert (weights.name, weights.learn_rate_factor, weights.l2_factor) == ("weights", 2, 4)
    assert (bias.name, bias.learn_rate_factor, bias.l2_factor) == ("bias", 3, 5)
    assert np.shares_memory(weights.value, made.weights) and np.shares_memory(bias.value, made.bias)


# ---- passes ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "keywords",
    [
        {},
        {"padding": (0, 1, 2, 3), "stride": 2, "padding_value": "symmetric-include-edge"},
        {"padding": "same", "dilation_factor": 2, "padding_value": "circular"},
        {"padding": 1, "padding_value": -2.5},
    ],
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_passes_are_those_of_the_functions(keywords, dtype):
    made = layer(dtype=dtype, bias_initializer="narrow-normal", **keywords)
    x = X.astype(dtype)
    y = made(x)
    weight = np.ascontiguousarray(made.weights.transpose(4, 3, 2, 0, 1)).reshape(12, 2, 3, 2)
    bias = made.bias.transpose(3, 2, 0, 1).reshape(12)
    functional = {"groups": 3, **keywords}
    functional["dilation"] = functional.pop("dilation_factor", 1)
    assert y.dtype == dtype
    assert y.tobytes() == cgconv.conv2d(x, weight, bias, **functional).tobytes()
    assert made.forward(x).tobytes() == made.predict(x).tobytes() == y.tobytes()
    dy = RNG.standard_normal(y.shape).astype(dtype)
    gradients = made.backward(x, dy)
    dw, db = cgconv.conv2d_backward_weight(x, dy, weight.shape, **functional)
    assert gradients.input.tobytes() == cgconv.conv2d_backward_input(dy, weight, x.shape, **functional).tobytes()
    assert np.array_equal(gradients.weights.transpose(4, 3, 2, 0, 1).reshape(12, 2, 3, 2), dw)
    assert np.array_equal(gradients.bias.transpose(3, 2, 0, 1).reshape(12), db)
    assert gradients.weights.shape == made.weights.shape and gradients.bias.shape == made.bias.shape


@pytest.mark.parametrize("kind", ["uint8", "int32", "bool", "float16", "float32", "float64", ">f8"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_result_has_the_type_of_the_layer(kind, dtype):
    x = (10 * abs(X)).astype(kind)
    made = layer(dtype=dtype)
    y = made(x)
    assert y.dtype == dtype and y.tobytes() == made(x.astype(dtype)).tobytes()
    assert made.backward(x, y.astype(kind)).input.dtype == dtype


def test_complex_input_is_refused():
    with pytest.raises(TypeError, match="x has the type complex64, which is not a real number"):
        layer()(X.astype("complex64"))


def test_an_image_without_a_batch_gives_a_result_without_one():
    made = layer()
    y = made(X)
    assert made(X[1]).tobytes() == y[1].tobytes()
    assert made.backward(X[1], y[1]).input.shape == X.shape[1:]


def test_a_batch_of_nothing_gives_nothing():
    made = layer()
    y = made(X[:0])
    assert y.shape == (0, 12, 7, 7)
    gradients = made.backward(X[:0], y)
    assert gradients.input.shape == (0, 6, 9, 8)
    assert not gradients.weights.any() and not gradients.bias.any()


def test_matlab_arrays_give_matlab_arrays():
    made = layer(data_format="SSCB", padding="same")
    x = np.asfortranarray(X.transpose(2, 3, 1, 0))
    y = made(x)
    assert y.shape == (9, 8, 12, 2) and y.flags.f_contiguous
    assert np.allclose(y.transpose(3, 2, 0, 1), layer(padding="same")(X), atol=1e-5)
    assert made.backward(x, y).input.flags.f_contiguous


def test_out_and_threads_are_those_of_the_functions():
    made = layer()
    y = made(X)
    out = np.empty_like(y)
    assert made.forward(X, out=out, threads=1) is out and out.tobytes() == y.tobytes()
    assert made.backward(X, y, threads=1).weights.tobytes() == made.backward(X, y, threads=2).weights.tobytes()
    with pytest.raises(ValueError, match="out.shape="):
        made.forward(X, out=out[:1])
    with pytest.raises(ValueError, match="out shares memory with x"):
        square = layer(1, 1, 6)
        square.forward(X, out=X)


def test_backward_refuses_gradients_of_another_shape():
    made = layer()
    with pytest.raises(ValueError, match=r"dy.shape=\(2, 12, 7, 6\): must be \(2, 12, 7, 7\)"):
        made.backward(X, np.ones((2, 12, 7, 6)))
    with pytest.raises(ValueError, match="x has 4 axes, and dy has 3"):
        made.backward(X, np.ones((12, 7, 7)))


def test_a_step_down_the_gradient_lowers_the_loss():
    made = layer(padding="same", dtype="float64", bias_learn_rate_factor=0.5)
    target = RNG.standard_normal((2, 12, 9, 8))
    losses = []
    for _ in range(5):
        y = made(X)
        losses.append(((y - target) ** 2).sum() / 2)
        gradients = made.backward(X, y - target)
        for parameter in made.learnables():
            parameter.value[...] -= 1e-4 * parameter.learn_rate_factor * getattr(gradients, parameter.name)
    assert all(after < before for before, after in zip(losses, losses[1:], strict=False))


@pytest.mark.parametrize(
    "duplicate", [copy.deepcopy, lambda made: pickle.loads(pickle.dumps(made))], ids=["deepcopy", "pickle"]
)
@pytest.mark.parametrize("ready", [False, True])
def test_a_layer_can_be_copied_and_pickled(duplicate, ready):
    made = layer(padding="same", name="a")
    if ready:
        made(X)
    twin = duplicate(made)
    assert repr(twin) == repr(made)
    assert twin(X).tobytes() == made(X).tobytes()
    assert not np.shares_memory(twin.weights, made.weights)
