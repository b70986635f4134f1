"""Packed weights: the bits that they give, which plans they fit, and that nothing changes them."""

import copy
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import cgconv
from problems import arrays, assert_same_bits, problems
from running import every_way, make_plan, place

X_SHAPE, WEIGHT_SHAPE = (2, 12, 6, 7), (18, 6, 3, 3)
RNG = np.random.default_rng(0)
X, WEIGHT = (RNG.standard_normal(shape).astype("float32") for shape in (X_SHAPE, WEIGHT_SHAPE))
BIAS = RNG.standard_normal(18).astype("float32")
ALGORITHMS = cgconv.Plan(X_SHAPE, WEIGHT_SHAPE, groups=2).algorithms


def plan_of(algorithm="auto", x_shape=X_SHAPE, weight_shape=WEIGHT_SHAPE, groups=2, **keywords):
    return cgconv.Plan(x_shape, weight_shape, groups=groups, algorithm=algorithm, **keywords)


@given(p=problems(most=20_000), seed=st.integers(0, 99))
def test_packed_weights_give_the_bits_of_the_weights(p, seed):
    x, weight, bias, _ = arrays(p, seed)
    x = place(p, x)
    for isa, algorithm, threads in every_way(p, "forward"):
        plan = make_plan(p, isa=isa, algorithm=algorithm, threads=threads)
        assert_same_bits(plan.forward(x, plan.pack(weight), bias), plan.forward(x, weight, bias), p, isa, algorithm)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_what_is_packed_is_a_copy(algorithm):
    plan, weight = plan_of(algorithm), WEIGHT.copy()
    packed, expected = plan.pack(weight), plan.forward(X, weight, BIAS)
    weight[:] = 0
    assert (plan.forward(X, packed, BIAS) == expected).all()


def test_arrays_are_converted_as_without_packing():
    plan = plan_of()
    packed = plan.pack(WEIGHT.astype("float64").tolist())
    x = np.asfortranarray(X.astype("float64"))
    assert (plan.forward(x, packed, BIAS.astype("float64")) == plan.forward(X, WEIGHT, BIAS)).all()
    out = np.full((2, 18, 4, 10), np.nan, "float32")[..., ::2]
    assert plan.forward(X, packed, BIAS, out) is out
    assert (out == plan.forward(X, WEIGHT, BIAS)).all()


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_packed_weights_fit_plans_of_other_images(algorithm):
    packed = plan_of(algorithm).pack(WEIGHT)
    x = RNG.standard_normal((1, 12, 5, 9)).astype("float32")
    other = plan_of(algorithm, x.shape, padding="same", padding_value="replicate", clamp=(0, None))
    assert (other.forward(x, packed) == other.forward(x, WEIGHT)).all()


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("other", [
    {"dtype": "float64"},
    {"groups": 1, "x_shape": (2, 6, 6, 7)},
    {"groups": 3, "x_shape": (2, 18, 6, 7)},
    {"weight_shape": (18, 6, 3, 2)},
    {"weight_shape": (16, 6, 3, 3)},
], ids=str)  # fmt: skip
def test_weights_packed_for_another_plan_are_refused(algorithm, other):
    other = plan_of(algorithm, **other)
    packed = other.pack(np.ones(other.weight_shape, other.dtype))
    out = np.full((2, 18, 4, 5), np.nan, "float32")
    with pytest.raises(ValueError, match="these weights were packed for another plan"):
        plan_of(algorithm).forward(X, packed, BIAS, out)
    assert np.isnan(out).all()


def test_only_weights_of_the_forward_pass_can_be_packed():
    plan = plan_of()
    with pytest.raises(TypeError):
        plan.backward_input(np.ones(plan.output_shape, "float32"), plan.pack(WEIGHT))
    with pytest.raises(TypeError):
        cgconv.conv2d(X, plan.pack(WEIGHT), groups=2)


def test_pack_checks_the_weights():
    with pytest.raises(ValueError, match=r"weight.shape=\(18, 6, 3, 2\): must be \(18, 6, 3, 3\)"):
        plan_of().pack(WEIGHT[..., :2])


def test_packed_weights_say_what_they_are():
    packed = plan_of("grouped-outputs").pack(WEIGHT)
    assert (packed.shape, packed.dtype, packed.algorithm) == (WEIGHT_SHAPE, "float32", "grouped-outputs")
    assert packed.nbytes >= WEIGHT.nbytes
    assert repr(packed) == (
        f"<cgconv.PackedWeight (18, 6, 3, 3), float32, grouped-outputs, {packed.nbytes} bytes>")


def test_packed_weights_are_made_by_pack_alone_and_cannot_change():
    packed = plan_of().pack(WEIGHT)
    with pytest.raises(TypeError, match="made by Plan.pack"):
        type(packed)()
    with pytest.raises(AttributeError):
        packed.shape = (1, 2, 3, 4)
    with pytest.raises(TypeError):
        memoryview(packed)
    with pytest.raises(TypeError):
        copy.deepcopy(packed)


def test_runs_on_many_threads_share_packed_weights():
    plan = plan_of("grouped-outputs", threads=1)
    packed, expected = plan.pack(WEIGHT), plan.forward(X, WEIGHT, BIAS)
    wrong = []

    def work():
        for _ in range(50):
            if not (plan.forward(X, packed, BIAS) == expected).all():
                wrong.append(True)

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not wrong
