"""The built-in banks are the filters that their docstrings define, and layers made of them agree with SciPy.

It must not know the command line.
"""

import numpy as np
import pytest
from scipy.ndimage import correlate

from cgconv import bank

ALL = pytest.mark.parametrize("name", bank.names())


def filters(name):
    return getattr(bank, name)()


def picture(channels, dtype="float64"):
    return np.random.default_rng(1).normal(size=(channels, 40, 37)).astype(dtype)


def scipy_answer(name, x):
    """What SciPy says: its "reflect" is our "symmetric-include-edge"."""
    weights = filters(name)
    planes = [correlate(plane, weights[:, :, f], mode="reflect") for plane in x for f in range(weights.shape[2])]
    return np.stack(planes)


@ALL
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_a_bank_agrees_with_scipy(name, channels):
    x = picture(channels)
    layer = bank.filter_bank(name, channels, data_format="CSS", dtype="float64")
    # Both sum at most 625 products of the order of 1 in float64, in different orders.
    np.testing.assert_allclose(layer(x), scipy_answer(name, x), rtol=0, atol=625 * 2**-52 * np.abs(x).max())


def test_edges_of_integers_are_exact():
    x = np.random.default_rng(2).integers(0, 256, size=(3, 40, 37)).astype("float64")
    answer = bank.filter_bank("edges", 3, data_format="CSS")(x.astype("float32"))
    assert answer.dtype == np.float32
    np.testing.assert_array_equal(answer, scipy_answer("edges", x))


@ALL
def test_without_channels_the_first_input_decides(name):
    x = picture(2, "float32")[None]
    layer = bank.filter_bank(name)
    assert layer.weights is None
    np.testing.assert_array_equal(layer(x), bank.filter_bank(name, 2)(x))
    assert layer.num_groups == 2


@ALL
def test_a_given_number_of_channels_fills_the_layer_at_once(name):
    layer = bank.filter_bank(name, 3)
    height, width, count = filters(name).shape
    assert layer.weights.shape == (height, width, 1, count, 3)
    assert layer.bias.shape == (1, 1, count, 3) and not layer.bias.any()
    for channel in range(3):
        np.testing.assert_array_equal(layer.weights[:, :, 0, :, channel], filters(name).astype("float32"))


@ALL
def test_every_filter_has_one_label(name):
    labels = bank.filter_labels(name)
    assert len(labels) == len(set(labels)) == filters(name).shape[2]


def test_a_ramp_answers_to_the_derivative_along_it():
    ramp = np.broadcast_to(np.arange(9.0), (9, 9))
    labels = bank.filter_labels("edges")
    for x, along, across in ((ramp, "x", "y"), (ramp.T, "y", "x")):
        planes = bank.filter_bank("edges", 1, data_format="CSS")(x[None].astype("float32"))
        answer = dict(zip(labels, planes, strict=True))
        inner = (slice(1, -1), slice(1, -1))
        assert (answer[f"Sobel {along}"][inner] == 8).all()
        assert (answer[f"Scharr {along}"][inner] == 32).all()
        assert (answer[f"Sobel {across}"] == 0).all()
        assert (answer["Laplacian"][inner] == 0).all()


def test_a_constant_image_has_no_edges_even_at_its_rim():
    x = np.full((1, 6, 7), 200, dtype="float32")
    assert not bank.filter_bank("edges", 1, data_format="CSS")(x).any()


def test_gaussians_sum_to_one_and_fall_off_with_the_distance():
    weights = bank.gaussian()
    np.testing.assert_allclose(weights.sum(axis=(0, 1)), 1, rtol=1e-14)
    np.testing.assert_array_equal(weights, weights[::-1, ::-1])
    np.testing.assert_array_equal(weights, weights.transpose(1, 0, 2))
    centre = weights.shape[0] // 2
    for index, sigma in enumerate((1.0, 2.0, 4.0)):
        ratio = weights[centre, centre + 4, index] / weights[centre, centre, index]
        assert ratio == pytest.approx(np.exp(-8 / sigma**2), rel=1e-12)


@pytest.mark.parametrize("arguments", [{}, {"orientations": 5, "wavelength": 5.0, "aspect": 0.5}])
def test_gabors_are_even_and_blind_to_brightness(arguments):
    weights = bank.gabor(**arguments)
    np.testing.assert_array_equal(weights, weights[::-1, ::-1])
    np.testing.assert_allclose(weights.sum(axis=(0, 1)), 0, atol=1e-14)
    np.testing.assert_allclose(weights.clip(0).sum(axis=(0, 1)), 1, rtol=1e-13)


def test_a_gabor_answers_most_to_the_wave_of_its_own_direction():
    weights = bank.gabor(orientations=8, wavelength=8.0)
    centre = weights.shape[0] // 2
    y, x = np.mgrid[-centre : centre + 1, -centre : centre + 1]
    for index in range(8):
        theta = np.pi * index / 8
        wave = np.cos(2 * np.pi * (x * np.cos(theta) + y * np.sin(theta)) / 8)
        answers = np.tensordot(wave, weights, axes=2)
        assert np.argmax(answers) == index


def test_an_unknown_bank_is_refused_with_the_names_of_those_there_are():
    for function in (bank.filter_bank, bank.filter_labels):
        with pytest.raises(ValueError, match="name='sharpen' is not a filter bank; the banks are edges, gauss"):
            function("sharpen")


@pytest.mark.parametrize("channels", [0, -1, 1.5, "3", True])
def test_channels_must_be_a_positive_int(channels):
    with pytest.raises((ValueError, TypeError), match=f"channels={channels!r}: must be a positive int"):
        bank.filter_bank("edges", channels)
