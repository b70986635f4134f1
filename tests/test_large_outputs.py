"""
What is 8 MiB and more, which may be called for ahead and written past the caches, has the bits of the reference all the
same.
"""

import numpy as np
import pytest

import cgconv
from problems import same_bits
from running import ISAS

# x, filters for each channel, extent, what else the plan is told
LARGE = {
    "planes": ((1, 3, 870, 900), 1, 5, {"padding": 2}),
    "odd rows": ((1, 3, 871, 901), 1, 5, {"padding": (0, 4, 2, 1)}),
    "rows in spans": ((1, 1, 1100, 2100), 1, 5, {"padding": 2}),
    "mirrored": ((1, 3, 870, 900), 1, 5, {"padding": 2, "padding_value": "symmetric-exclude-edge"}),
    "through a window": ((1, 2, 500, 2300), 1, (6, 5), {"padding": "same", "padding_value": "circular"}),
    "two filters": ((1, 2, 810, 720), 2, 5, {"padding": 2}),
    "dilated": ((1, 3, 870, 900), 1, 5, {"padding": 4, "dilation": 2}),
    "batch": ((17, 192, 28, 28), 1, 5, {"padding": 2}),
    # Under 3x3 only input gradients are written past the caches, in whole planes; others may be cut in bands of rows.
    "3x3": ((17, 192, 28, 28), 1, 3, {"padding": 1}),
    "3x3, whole planes": ((9, 80, 56, 57), 1, 3, {"padding": 1}),
    "3x3 in bands": ((4, 24, 150, 151), 1, 3, {"padding": 1}),
    "3x3 in bands, mirrored": ((4, 24, 150, 151), 1, 3, {"padding": 1, "padding_value": "symmetric-exclude-edge"}),
    "3x3 in bands, dilated": ((4, 24, 151, 150), 1, 3, {"padding": 4, "dilation": 4}),
    "3x3 at stride 2": ((3, 100, 89, 90), 1, 3, {"padding": 1, "stride": 2}),
    "5x5 at stride 2": ((3, 100, 90, 89), 1, 5, {"padding": 2, "stride": 2}),
    "odd batch": ((9, 130, 43, 47), 1, (3, 5), {"padding": "same", "padding_value": "symmetric-include-edge"}),
}


def arrays(shape, filters, extent, dtype):
    kh, kw = extent if isinstance(extent, tuple) else (extent, extent)
    rng = np.random.default_rng(7)
    x = rng.standard_normal(shape).astype(dtype)
    return x, rng.standard_normal((shape[1] * filters, 1, kh, kw)).astype(dtype)


def misaligned(like):
    return np.full(like.size + 1, np.nan, like.dtype)[1:].reshape(like.shape)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("name", LARGE)
class TestLargeOutputs:
    def plans(self, name, isa, threads, dtype):
        shape, filters, extent, options = LARGE[name]
        x, weight = arrays(shape, filters, extent, dtype)
        options = {**options, "groups": shape[1], "isa": isa, "dtype": dtype}
        plan = cgconv.Plan(shape, weight.shape, threads=threads, **options)
        return plan, cgconv.Plan(shape, weight.shape, algorithm="reference", **options), x, weight

    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    def test_forward(self, name, isa, threads, dtype):
        plan, reference, x, weight = self.plans(name, isa, threads, dtype)
        expected = reference.forward(x, weight)
        assert expected.nbytes * LARGE[name][3].get("stride", 1) ** 2 >= 8 << 20
        assert same_bits(plan.forward(x, weight, out=misaligned(expected)), expected)

    def test_input_gradient(self, name, isa, threads):
        plan, reference, x, weight = self.plans(name, isa, threads, "float32")
        dy = np.random.default_rng(8).standard_normal(plan.output_shape).astype("float32")
        expected = reference.backward_input(dy, weight)
        assert same_bits(plan.backward_input(dy, weight, out=misaligned(expected)), expected)

    def test_weight_gradient(self, name, isa, threads):
        plan, reference, x, weight = self.plans(name, isa, threads, "float32")
        dy = np.random.default_rng(9).standard_normal(plan.output_shape).astype("float32")
        for got, expected in zip(plan.backward_weight(x, dy), reference.backward_weight(x, dy)):
            assert same_bits(got, expected)
