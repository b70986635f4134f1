"""SGDM and Adam: their formulas, the factors, their state, and that a wrong call changes nothing.

The formulas are written out here for single numbers; PyTorch's optimizers are a second opinion.
"""

import copy
import math
import pickle

import numpy as np
import pytest

import cgconv
from cgconv import SGDM, Adam, Learnable

RULES = {"sgdm": (SGDM, {"momentum": 0.75}), "adam": (Adam, {"beta1": 0.5, "beta2": 0.75, "epsilon": 1e-3})}
rules = pytest.mark.parametrize("rule", RULES)


def make(rule, **keywords):
    kind, more = RULES[rule]
    return kind(**{**more, "learn_rate": 0.5, "l2_factor": 0.25, **keywords})


def learnables(seed=0, dtype="float64"):
    rng = np.random.default_rng(seed)
    draws = (("a", (3, 2), 1, 1), ("b", (4,), 2, 0), ("c", (), 0.5, 3), ("d", (2, 0), 1, 1))
    return [
        Learnable(name, np.array(rng.standard_normal(shape), dtype), rate, l2) for name, shape, rate, l2 in draws
    ]


def gradients(step, of=None):
    rng = np.random.default_rng([7, step])
    return [rng.standard_normal(one.value.shape) for one in of or learnables()]


def values(ones):
    return [one.value.copy() for one in ones]


def equal(a, b):
    return all(x.tobytes() == y.tobytes() for x, y in zip(a, b, strict=True))


# ---- formulas ----------------------------------------------------------------------------------------------


def sgdm_by_hand(value, steps, rate, l2, momentum=0.75):
    velocity = 0.0
    for gradient in steps:
        velocity = momentum * velocity - rate * (gradient + l2 * value)
        value += velocity
    return value


def adam_by_hand(value, steps, rate, l2, beta1=0.5, beta2=0.75, epsilon=1e-3):
    mean = square = 0.0
    for t, gradient in enumerate(steps, 1):
        gradient += l2 * value
        mean = beta1 * mean + (1 - beta1) * gradient
        square = beta2 * square + (1 - beta2) * gradient**2
        value -= rate * (mean / (1 - beta1**t)) / (math.sqrt(square / (1 - beta2**t)) + epsilon)
    return value


@pytest.mark.parametrize(("rule", "by_hand"), [("sgdm", sgdm_by_hand), ("adam", adam_by_hand)])
def test_steps_are_the_formula_with_the_factors_of_each_parameter(rule, by_hand):
    ones, optimizer = learnables(), make(rule)
    before = values(ones)
    given = [gradients(step) for step in range(5)]
    for each in given:
        optimizer.step(ones, each)
    assert optimizer.steps == 5
    for i, one in enumerate(ones):
        rate, l2 = 0.5 * one.learn_rate_factor, 0.25 * one.l2_factor
        for cell in np.ndindex(one.value.shape):
            want = by_hand(before[i][cell], [each[i][cell] for each in given], rate, l2)
            assert one.value[cell] == pytest.approx(want, rel=1e-13, abs=1e-15)


@rules
def test_a_rate_that_is_set_between_steps_counts_from_then_on(rule):
    ones, optimizer = learnables(), make(rule, learn_rate=0)
    before = values(ones)
    optimizer.step(ones, gradients(0))
    assert equal(values(ones), before)
    optimizer.learn_rate = 0.5
    optimizer.step(ones, gradients(1))
    assert all((one.value != old).all() for one, old in zip(ones, before, strict=True))


@rules
def test_without_l2_an_infinite_value_has_no_part_in_the_gradient(rule):
    one = Learnable("a", np.array([np.inf, 1.0]), 1, 0)
    make(rule).step([one], [np.zeros(2)])
    assert one.value.tolist() == [np.inf, 1.0]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@rules
def test_pytorch_makes_the_same_steps(rule, dtype):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    ones, optimizer = learnables(dtype=dtype), make(rule, learn_rate=0.01)
    theirs = [torch.tensor(one.value, requires_grad=True) for one in ones]
    groups = [
        {"params": [p], "lr": 0.01 * one.learn_rate_factor, "weight_decay": 0.25 * one.l2_factor}
        for p, one in zip(theirs, ones, strict=True)
    ]
    their_optimizer = (
        torch.optim.SGD(groups, momentum=0.75)
        if rule == "sgdm"
        else torch.optim.Adam(groups, betas=(0.5, 0.75), eps=1e-3)
    )
    for step in range(20):
        given = [np.asarray(gradient, dtype) for gradient in gradients(step)]
        optimizer.step(ones, given)
        for p, gradient in zip(theirs, given, strict=True):
            p.grad = torch.from_numpy(gradient)
        their_optimizer.step()
    for one, p in zip(ones, theirs, strict=True):
        np.testing.assert_allclose(one.value, p.detach().numpy(), rtol=200 * np.finfo(dtype).eps)


# ---- layers ------------------------------------------------------------------------------------------------


@rules
def test_a_step_changes_the_weights_that_the_layer_runs_on(rule):
    layer = cgconv.GroupedConvolution2DLayer(3, 2, "channel-wise", seed=0, bias_initializer="narrow-normal")
    x = np.random.default_rng(0).standard_normal((2, 3, 6, 6)).astype("float32")
    before, weights, bias = layer(x), layer.weights.copy(), layer.bias.copy()
    optimizer = make(rule)
    optimizer.step(layer.learnables(), layer.backward(x, before)[1:])
    assert (layer.weights != weights).all() and (layer.bias != bias).all()
    assert layer.weights.dtype == np.float32 and not np.array_equal(layer(x), before)


@rules
def test_training_fits_a_layer_to_another(rule):
    rng = np.random.default_rng(0)
    keywords = {"padding": "same", "padding_value": "circular", "stride": 2, "dtype": "float64"}
    teacher = cgconv.GroupedConvolution2DLayer(3, 2, 2, seed=1, bias_initializer="narrow-normal", **keywords)
    pupil = cgconv.GroupedConvolution2DLayer(3, 2, 2, seed=2, **keywords)
    x = rng.standard_normal((4, 6, 9, 8))
    optimizer, want = make(rule, learn_rate=0.02, l2_factor=0), teacher(x)
    losses = []
    for _ in range(300):
        error = pupil(x) - want
        losses.append(float((error**2).sum()))
        optimizer.step(pupil.learnables(), pupil.backward(x, error / 8)[1:])
        optimizer.learn_rate *= 0.98
    assert losses[-1] < 1e-4 * losses[0]


# ---- state -------------------------------------------------------------------------------------------------


@rules
@pytest.mark.parametrize("way", ["npz", "pickle", "deepcopy"])
def test_a_saved_state_goes_on_with_the_same_bits(rule, way, tmp_path):
    through, optimizer = learnables(), make(rule)
    for step in range(3):
        optimizer.step(through, gradients(step))
    again = copy.deepcopy(through)
    if way == "npz":
        np.savez(tmp_path / "state.npz", **optimizer.state())
        other = make(rule)
        other.load_state(np.load(tmp_path / "state.npz"))
    else:
        other = pickle.loads(pickle.dumps(optimizer)) if way == "pickle" else copy.deepcopy(optimizer)
    for step in range(3, 6):
        optimizer.step(through, gradients(step))
    assert other.steps == 3
    for step in range(3, 6):
        other.step(again, gradients(step))
    assert equal(values(through), values(again)) and equal(other.state().values(), optimizer.state().values())


@rules
def test_the_state_is_a_copy(rule):
    ones, optimizer = learnables(), make(rule)
    optimizer.step(ones, gradients(0))
    state = optimizer.state()
    kept = {name: array.copy() for name, array in state.items()}
    optimizer.step(ones, gradients(1))
    assert equal(state.values(), kept.values())


def test_a_state_of_another_kind_is_refused():
    ones, optimizer = learnables(), make("sgdm")
    optimizer.step(ones, gradients(0))
    adam = make("adam")
    with pytest.raises(ValueError, match="this is no state of Adam"):
        adam.load_state(optimizer.state())
    with pytest.raises(ValueError, match="this is no state of Adam"):
        adam.load_state({})
    assert adam.steps == 0 and list(adam.state()) == ["steps"]


# ---- errors ------------------------------------------------------------------------------------------------


def refused(error, match, ones, given, optimizer=None):
    optimizer = optimizer or make("adam")
    before, state = values([one for one in ones if one.value is not None]), optimizer.state()
    with pytest.raises(error, match=match):
        optimizer.step(ones, given)
    assert equal(values([one for one in ones if one.value is not None]), before)
    assert equal(optimizer.state().values(), state.values())


def test_a_step_that_does_not_fit_is_refused_and_changes_nothing():
    ones, given = learnables(), gradients(0)
    refused(ValueError, "4 learnables and 3 gradients", ones, given[:3])
    refused(ValueError, r"'d' has the shape \(2, 0\), and its gradient \(4,\)", ones, [*given[:3], given[1]])
    refused(TypeError, "the gradient of 'd' has the type complex128", ones, [*given[:3], given[3] + 0j])
    unmade = cgconv.GroupedConvolution2DLayer(3, 1, 1).learnables()
    refused(ValueError, "'weights' has no value yet", [ones[0], *unmade], given[:3])
    integers = Learnable("e", np.ones(4, int), 1, 1)
    refused(TypeError, "'e' must be an array of float32 or float64", [integers], given[1:2])
    fixed = Learnable("f", np.ones(4), 1, 1)
    fixed.value.flags.writeable = False
    refused(ValueError, "'f' is read-only", [fixed], given[1:2])


def test_other_parameters_than_in_the_step_before_are_refused():
    ones, optimizer = learnables(), make("adam")
    optimizer.step(ones, gradients(0))
    refused(ValueError, "not those of the step before", ones[::-1], gradients(1)[::-1], optimizer)
    refused(ValueError, "not those of the step before", ones[:2], gradients(1)[:2], optimizer)


@pytest.mark.parametrize(
    ("kind", "keywords", "match"),
    [
        (SGDM, {"learn_rate": -1}, "learn_rate=-1: must be a finite number that is not negative"),
        (SGDM, {"momentum": 1}, "momentum=1: must be below 1"),
        (SGDM, {"l2_factor": math.nan}, "l2_factor=nan"),
        (Adam, {"beta1": 1.5}, "beta1=1.5: must be below 1"),
        (Adam, {"beta2": -0.1}, "beta2=-0.1"),
        (Adam, {"epsilon": math.inf}, "epsilon=inf"),
    ],
)
def test_settings_that_make_no_sense_are_refused(kind, keywords, match):
    with pytest.raises(ValueError, match=match):
        kind(**keywords)
