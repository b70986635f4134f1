"""Terms that meet padding of 0 may be left out of a sum, but the bits must be as if they were not.

They matter where a weight is not finite, and where a sum is a zero, whose sign they decide.
"""

import numpy as np
import pytest

import cgconv
from problems import same_bits
from running import ISAS

X_SHAPE, WEIGHT_SHAPE = (1, 6, 5, 6), (34, 3, 3, 3)
DENORMAL = {"float32": 1e-41, "float64": 1e-310}


def forward(algorithm, isa, dtype, x, weight, bias, value=0.0, clamp=(None, None)):
    plan = cgconv.Plan(x.shape, weight.shape, groups=2, padding=1, padding_value=value, dtype=dtype, isa=isa,
                       algorithm=algorithm, clamp=clamp)
    return plan.forward(x, weight, bias), plan.forward(x, plan.pack(weight), bias)


def check(isa, dtype, x, weight, bias, **options):
    expected, _ = forward("reference", isa, dtype, x, weight, bias, **options)
    for got in forward("grouped-outputs", isa, dtype, x, weight, bias, **options):
        assert same_bits(got, expected)
    return expected


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
class TestPaddingOfZero:
    def test_a_weight_that_is_not_finite_meets_the_padding(self, isa, dtype):
        rng = np.random.default_rng(0)
        x, weight = rng.standard_normal(X_SHAPE).astype(dtype), rng.standard_normal(WEIGHT_SHAPE).astype(dtype)
        for wrong in (np.inf, -np.inf, np.nan):
            weight[5, 1, 0, 2] = weight[33, 2, 2, 0] = wrong
            y = check(isa, dtype, x, weight, None)
            assert np.isnan(y[0, 5, 0]).all() and np.isnan(y[0, 33, :, 0]).all()

    @pytest.mark.parametrize("value", [0.0, -0.0])
    def test_a_negative_zero_as_bias(self, isa, dtype, value):
        rng = np.random.default_rng(1)
        weight = rng.standard_normal(WEIGHT_SHAPE).astype(dtype)
        weight[::3] = -abs(weight[::3])
        y = check(isa, dtype, np.zeros(X_SHAPE, dtype), weight, np.full(34, -0.0, dtype), value=value)
        assert (y == 0).all() and np.signbit(y).any() and not np.signbit(y).all()

    def test_sums_that_underflow_to_a_negative_zero(self, isa, dtype):
        rng = np.random.default_rng(2)
        x = (DENORMAL[dtype] * rng.choice([-1, 0, 1], X_SHAPE)).astype(dtype)
        weight = (DENORMAL[dtype] * rng.choice([-1, 1], WEIGHT_SHAPE)).astype(dtype)
        y = check(isa, dtype, x, weight, None)
        assert (y == 0).all() and np.signbit(y).any() and not np.signbit(y).all()

    def test_sums_of_zero_that_are_clamped(self, isa, dtype):
        rng = np.random.default_rng(3)
        x, weight = rng.standard_normal(X_SHAPE).astype(dtype), rng.standard_normal(WEIGHT_SHAPE).astype(dtype)
        x[:, :3, :2] = 0
        check(isa, dtype, x, weight, None, clamp=(0, None))
        check(isa, dtype, x, weight, np.full(34, -0.0, dtype), clamp=(-0.0, 6))
