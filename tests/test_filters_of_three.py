"""3x3 channel-wise filters, whose kernels read lines where they stand: each width has its blocks and its ends.

Arrays lie amid numbers that are not finite, so that a lane beyond the end of a line would be seen.
"""

import numpy as np
import pytest

import cgconv
from problems import same_bits
from running import ISAS

WIDTHS = [*range(1, 36), 40, 47, 48, 49, 56, 63, 64, 65, 70, 96, 113, 130]
ROWS = 6

# what the plan is told, filters for each channel
OPTIONS = {
    "same": ({"padding": 1}, 1),
    "valid": ({"padding": 0}, 1),
    "left and top alone": ({"padding": (1, 0, 1, 0)}, 1),
    "more padding than the filter needs": ({"padding": 2}, 1),
    "stride 2": ({"padding": 1, "stride": 2}, 1),
    "stride 2, padded at the end": ({"padding": (0, 1, 0, 1), "stride": 2}, 1),
    "dilated": ({"padding": 2, "dilation": 2}, 1),
    "dilated rows": ({"padding": (3, 3, 1, 1), "dilation": (3, 1)}, 1),
    "dilated by a vector": ({"padding": 8, "dilation": 8}, 1),
    "three filters": ({"padding": 1}, 3),
    "a constant": ({"padding": 1, "padding_value": 2.5}, 1),
    "a negative zero": ({"padding": 1, "padding_value": -0.0}, 1),
    "mirrored": ({"padding": 1, "padding_value": "symmetric-exclude-edge"}, 1),
    "a repeated edge": ({"padding": 2, "dilation": 2, "padding_value": "replicate"}, 1),
    "circular": ({"padding": 1, "padding_value": "circular"}, 2),
    "clamped": ({"padding": 1, "clamp": (-0.5, 0.75)}, 1),
}


def amid_nan(a):
    """A copy of `a` with NaN around each plane and behind each row."""
    n, c, h, w = a.shape
    whole = np.full((n, c, h + 2, w + 3), np.nan, a.dtype)
    whole[:, :, 1 : 1 + h, 2 : 2 + w] = a
    return whole[:, :, 1 : 1 + h, 2 : 2 + w]


def written(run, arguments, out):
    """What a pass writes to `out`, and nowhere else."""
    run(*arguments, out=out)
    result = out.copy()
    out[...] = np.nan
    assert out.base is None or np.isnan(out.base).all()
    return result


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", OPTIONS)
def test_every_width_has_the_bits_of_the_reference(name, dtype, isa):
    options, filters = OPTIONS[name]
    rng = np.random.default_rng(3)
    weight = rng.standard_normal((3 * filters, 1, 3, 3)).astype(dtype)
    bias = rng.standard_normal(3 * filters).astype(dtype)
    tried = 0
    for width in WIDTHS:
        shape = (1, 3, ROWS + width % 3, width)
        told = {**options, "groups": 3, "dtype": dtype, "isa": isa}
        try:
            reference = cgconv.Plan(shape, weight.shape, algorithm="reference", **told)
        except ValueError:
            continue  # no output, or a mirror of more than there is
        tried += 1
        x = rng.standard_normal(shape).astype(dtype)
        dy = rng.standard_normal(reference.output_shape).astype(dtype)
        y = reference.forward(x, weight, bias)
        trains = "clamp" not in options
        for lay in (np.array, amid_nan):
            x_here, dy_here = lay(x), lay(dy)
            plan = cgconv.Plan(shape, weight.shape, threads=1 + width % 2, x_strides=x_here.strides,
                               y_strides=dy_here.strides, **told)
            assert same_bits(written(plan.forward, (x_here, weight, bias), lay(y)), y), width
            if trains:
                dx = reference.backward_input(dy, weight)
                assert same_bits(written(plan.backward_input, (dy_here, weight), lay(dx)), dx), width
                for got, expected in zip(plan.backward_weight(x_here, dy_here), reference.backward_weight(x, dy)):
                    assert same_bits(got, expected), width
    assert tried > 30
