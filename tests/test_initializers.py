"""Initialisers: the formulas, the seed, and functions of one's own.

Distributions are checked on enough draws that the bounds hold by many standard deviations, with a fixed seed.
"""

import numpy as np
import pytest

from cgconv import GroupedConvolution2DLayer as Layer

SHAPE = (1, 64 * 4, 20, 20)  # of the input: 4 groups of 64 channels
FILTERS = 8


def weights(initializer, **keywords):
    layer = Layer((5, 3), FILTERS, 4, weights_initializer=initializer, **{"seed": 0, **keywords})
    layer.initialize(SHAPE)
    return layer.weights


def test_glorot_is_uniform_between_the_bounds_of_one_group():
    w = weights("glorot")
    bound = np.sqrt(6 / (5 * 3 * 64 + 5 * 3 * FILTERS))  # F, not F*G
    assert abs(w).max() <= bound
    assert w.max() > 0.999 * bound and w.min() < -0.999 * bound
    counts = np.histogram(w, 10, (-bound, bound))[0]
    assert abs(counts / w.size - 0.1).max() < 0.01


def test_he_is_normal_with_a_variance_of_two_over_the_inputs():
    w = weights("he")
    deviation = np.sqrt(2 / (5 * 3 * 64))
    assert abs(w.std() / deviation - 1) < 0.02 and abs(w.mean()) < 0.05 * deviation
    assert abs((abs(w) < deviation).mean() - 0.6827) < 0.01
    assert abs(w).max() > 3.5 * deviation  # not truncated


def test_narrow_normal_is_normal_with_a_deviation_of_a_hundredth():
    w = weights("narrow-normal")
    assert abs(w.std() / 0.01 - 1) < 0.02 and abs(w).max() > 0.035
    assert np.array_equal(w, weights("narrownormal"))


def test_zeros_and_ones_are_what_they_say():
    assert not weights("zeros").any() and (weights("ones") == 1).all()


def test_a_channel_wise_layer_has_one_input_per_filter_cell():
    layer = Layer(3, 2, "channel-wise", seed=0)
    layer.initialize((1, 4096, 5, 5))
    bound = np.sqrt(6 / (9 + 18))
    assert 0.999 * bound < abs(layer.weights).max() <= bound


@pytest.mark.parametrize("initializer, deviation", [("narrow-normal", 0.01), ("zeros", 0), ("ones", 0)])
def test_a_bias_has_initialisers_of_its_own(initializer, deviation):
    layer = Layer(1, 1, "channel-wise", bias_initializer=initializer, seed=0)
    layer.initialize((1, 5000, 1, 1))
    assert layer.bias.std() == pytest.approx(deviation, rel=0.05)
    assert layer.bias.mean() == pytest.approx(float(initializer == "ones"), abs=0.001)


@pytest.mark.parametrize("initializer", ["glorot", "he", "narrow-normal"])
def test_the_same_seed_gives_the_same_weights(initializer):
    w = weights(initializer, seed=5)
    assert np.array_equal(w, weights(initializer, seed=5))
    assert np.array_equal(w, weights(initializer, seed=np.int64(5)))
    assert np.array_equal(w, weights(initializer, seed=np.random.default_rng(5)))
    assert np.array_equal(w, weights(initializer, seed=np.random.SeedSequence(5)))
    assert np.array_equal(w, weights(initializer, seed=5, dtype="float64").astype("float32"))
    assert not np.array_equal(w, weights(initializer, seed=6))
    assert not np.array_equal(weights(initializer, seed=None), weights(initializer, seed=None))


def test_one_generator_serves_many_layers_in_turn():
    rng = np.random.default_rng(5)
    first, second = weights("he", seed=rng), weights("he", seed=rng)
    assert np.array_equal(first, weights("he", seed=5)) and not np.array_equal(first, second)


def test_a_function_gets_the_shape_and_gives_the_array():
    asked = []

    def count(shape):
        asked.append(shape)
        return np.arange(np.prod(shape)).reshape(shape)

    layer = Layer((5, 3), 8, 4, weights_initializer=count, bias_initializer=count)
    layer.initialize(SHAPE)
    assert asked == [(5, 3, 64, 8, 4), (1, 1, 8, 4)]
    assert np.array_equal(layer.weights, np.arange(5 * 3 * 64 * 8 * 4).reshape(5, 3, 64, 8, 4))
    assert layer.bias[0, 0, 2, 3] == 11
    assert layer.weights_initializer is count


@pytest.mark.parametrize(
    "function, kind, words",
    [
        (
            lambda shape: 0.0,
            ValueError,
            r"weights_initializer was asked for the shape \(5, 3, 64, 8, 4\) and returned \(\)",
        ),
        (
            lambda shape: np.zeros(shape, complex),
            TypeError,
            "what weights_initializer returned has the type complex128",
        ),
        (lambda shape: None, TypeError, "what weights_initializer returned has the type object"),
        (lambda shape: 1 / 0, ZeroDivisionError, "division"),
    ],
)
def test_a_function_that_fails_leaves_the_layer_as_it_was(function, kind, words):
    layer = Layer((5, 3), 8, 4, weights_initializer=function, seed=0)
    with pytest.raises(kind, match=words):
        layer.initialize(SHAPE)
    assert layer.weights is None and layer.bias is None and layer.num_channels_per_group == "auto"
    layer.weights_initializer = "glorot"
    layer.initialize(SHAPE)
    assert np.array_equal(layer.weights, weights("glorot"))
