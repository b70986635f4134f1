"""cgconv.adapters.torch: its operators, as autograd and tracing use them, and what they refuse.

Results are compared with the functions of cgconv, with ==. The layer and the conversion of models have tests of their
own, in test_torch_layer.py and test_torch_models.py.
"""

import subprocess
import sys

import numpy as np
import pytest

import cgconv

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from cgconv.adapters.torch import GroupedConv2d, conv2d  # noqa: E402

VALUES = (0, 1.5, "symmetric-include-edge", "symmetric-exclude-edge", "replicate", "circular")
GEOMETRY = {"stride": (2, 1), "padding": (1, 2, 0, 3), "dilation": (1, 2), "groups": 2}
SIZES = ((2, 4, 5, 6), (6, 2, 3, 2), (6,))
values = pytest.mark.parametrize("value", VALUES)
double = {"dtype": torch.float64, "requires_grad": True}


def integers(*shape, dtype=torch.float32, seed=0):
    return torch.randint(-4, 5, shape, generator=torch.Generator().manual_seed(seed)).to(dtype)


def leaves(seed=0, sizes=SIZES):
    torch.manual_seed(seed)
    return [torch.randn(size, **double) for size in sizes]


def equal(a, b):
    """Whether two tensors have the same bits."""
    return a.dtype == b.dtype and a.detach().contiguous().numpy().tobytes() == b.detach().contiguous().numpy().tobytes()


# ---- operators ---------------------------------------------------------------------------------------------


@values
def test_gradients_are_right_to_second_order(value):
    def function(x, weight, bias):
        return conv2d(x, weight, bias, padding_value=value, **GEOMETRY)

    assert torch.autograd.gradcheck(function, leaves())
    assert torch.autograd.gradgradcheck(function, leaves())


def test_gradients_are_right_to_third_order_and_for_a_frozen_weight():
    x, weight = (t.detach().requires_grad_() for t in leaves(sizes=((1, 2, 4, 4), (2, 1, 2, 2))))

    def slope(x, weight):
        y = conv2d(x, weight, groups=2, padding=1, padding_value="replicate")
        return torch.autograd.grad((y**3).sum(), (x, weight), create_graph=True)

    assert torch.autograd.gradgradcheck(slope, (x, weight))
    assert torch.autograd.gradcheck(lambda x: conv2d(x, weight.detach(), groups=2), x)
    bias = torch.randn(2, **double)
    assert torch.autograd.gradcheck(lambda b: conv2d(x.detach(), weight.detach(), b, groups=2), bias)


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("value", [1.5, "circular"])
def test_the_operators_keep_the_rules_of_pytorch(value, memory_format):
    x, weight, bias = (t.detach().float().requires_grad_() for t in leaves())
    x = x.detach().to(memory_format=memory_format).requires_grad_()
    mode, number = (value, 0.0) if isinstance(value, str) else ("constant", float(value))
    geometry = [2, 1], [1, 2, 0, 3], [1, 2], 2, mode
    dy = torch.ops.cgconv.conv2d(x, weight, bias, *geometry, number).detach().requires_grad_()
    check, ops = torch.library.opcheck, torch.ops.cgconv
    check(ops.conv2d.default, (x, weight, bias, *geometry, number))
    check(ops.conv2d.default, (x, weight, None, *geometry, number))
    check(ops.conv2d_backward_input.default, (dy, weight, list(x.shape), *geometry))
    check(ops.conv2d_backward_weight.default, (x, dy, list(weight.shape), *geometry, number))


def strided(x, way):
    """x in another place in memory, by the way's name."""
    n, c, h, w = x.shape
    if way == "channels_last":
        return torch.empty(n, h, w, c).permute(0, 3, 1, 2).copy_(x)  # also where one channel leaves a choice
    if way == "crop":
        return torch.nn.functional.pad(x, (2, 1, 1, 2))[:, :, 1 : 1 + h, 2 : 2 + w]
    if way == "channels_last crop":
        return strided(torch.nn.functional.pad(x, (2, 1, 1, 2)), "channels_last")[:, :, 1 : 1 + h, 2 : 2 + w]
    if way == "exchanged":
        return x.transpose(2, 3).contiguous().transpose(2, 3)
    if way == "expanded":
        return x[:1].expand(n, c, h, w)
    return x.contiguous()


WAYS = ("contiguous", "channels_last", "crop", "channels_last crop", "exchanged", "expanded")


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("c", [1, 4])
def test_tensors_run_where_they_are_and_the_result_lies_as_they_do(way, c, monkeypatch):
    seen = []
    plan = cgconv.functional.cache.plan
    monkeypatch.setattr(cgconv.functional.cache, "plan", lambda *a, **k: seen.append(plan(*a, **k)) or seen[-1])
    x, weight = strided(torch.randn(2, c, 9, 8), way), torch.randn(8, 1, 3, 3)
    y = conv2d(x, weight, groups=c, padding=1)
    assert equal(y, conv2d(x.contiguous(), weight, groups=c, padding=1)) or way == "exchanged"
    assert seen[0]._place.x.direct and seen[0]._place.y.direct
    assert y.is_contiguous(memory_format=torch.channels_last) == ("channels_last" in way)
    assert (y.stride(2) == 1) == (way == "exchanged")
    assert y.data_ptr() % 64 == 0


@values
@pytest.mark.parametrize("way", WAYS)
def test_all_passes_have_the_bits_of_the_functions(value, way):
    x, weight, bias = (t.detach().float() for t in leaves())
    x = strided(x, way).requires_grad_()
    weight.requires_grad_(), bias.requires_grad_()
    y = conv2d(x, weight, bias, padding_value=value, **GEOMETRY)
    dy = torch.randn(y.shape)
    y.backward(dy)
    array, keywords = x.detach().numpy(), {**GEOMETRY, "padding_value": value}
    w, b = weight.detach().numpy(), bias.detach().numpy()
    assert np.array_equal(y.detach(), cgconv.conv2d(array, w, b, **keywords))
    assert np.array_equal(x.grad, cgconv.conv2d_backward_input(dy.numpy(), w, x.shape, **keywords))
    dw, db = cgconv.conv2d_backward_weight(array, dy.numpy(), w.shape, **keywords)
    assert np.array_equal(weight.grad, dw) and np.array_equal(bias.grad, db)


def test_the_gradient_of_a_sum_which_is_one_repeated_number_is_right():
    x, weight = integers(2, 4, 6, 5).requires_grad_(), integers(4, 1, 3, 3, seed=1).requires_grad_()
    conv2d(x, weight, groups=4).sum().backward()
    got = x.grad, weight.grad
    x.grad = weight.grad = None
    torch.nn.functional.conv2d(x, weight, groups=4).sum().backward()
    assert torch.equal(got[0], x.grad) and torch.equal(got[1], weight.grad)


def test_threads_follow_pytorch(monkeypatch):
    asked = []
    plan = cgconv.functional.cache.plan
    monkeypatch.setattr(cgconv.functional.cache, "plan", lambda *a: asked.append(a[5]) or plan(*a))
    before = torch.get_num_threads()
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            conv2d(torch.ones(1, 1, 3, 3), torch.ones(1, 1, 3, 3))
    finally:
        torch.set_num_threads(before)
    assert asked == [1, 3]


def test_an_empty_batch_and_an_image_without_a_batch_are_right():
    weight = torch.randn(4, 1, 3, 3, requires_grad=True)
    empty = torch.empty(0, 4, 5, 5, requires_grad=True)
    conv2d(empty, weight, groups=4).sum().backward()
    assert empty.grad.shape == (0, 4, 5, 5) and torch.equal(weight.grad, torch.zeros(4, 1, 3, 3))
    x = torch.randn(4, 5, 6)
    assert equal(conv2d(x, weight, groups=4), conv2d(x[None], weight, groups=4)[0])


# ---- errors ------------------------------------------------------------------------------------------------


class Elsewhere(torch.Tensor):
    """A tensor that says that it lies on a GPU."""

    @property
    def device(self):
        return torch.device("cuda:0")


def test_what_cannot_be_computed_is_refused_with_the_reason():
    x, weight = torch.ones(1, 4, 5, 5), torch.ones(4, 1, 3, 3)
    for error, match, arguments, keywords in (
        (TypeError, r"x lies on cuda:0, and cgconv computes on the CPU: .*\.cpu\(\)", (Elsewhere(x), weight), {}),
        (TypeError, r"x is torch.bfloat16, and cgconv computes in float32 and float64$", (x.bfloat16(), weight), {}),
        (TypeError, "weight is torch.float16", (x, weight.half()), {}),
        (TypeError, "x is torch.float32 and weight torch.float64: give both one type", (x, weight.double()), {}),
        (ValueError, "x has 2 axes", (x[0, 0], weight), {}),
        (ValueError, "weight has 3 axes", (x, weight[0]), {}),
        (ValueError, "groups=3 does not divide the 4 input channels", (x, weight), {"groups": 3}),
        (ValueError, "is smaller than the filter", (x, torch.ones(4, 1, 7, 3)), {"groups": 4}),
        (ValueError, r"bias.shape=\(3,\)", (x, weight, torch.ones(3)), {"groups": 4}),
        (ValueError, "padding_value='mirror'", (x, weight), {"padding_value": "mirror"}),
    ):
        with pytest.raises(error, match=match):
            conv2d(*arguments, **keywords)


def test_autocast_is_named_where_it_made_the_half_tensor_and_float32_is_left_alone():
    layer = GroupedConv2d(3, 1, "channel-wise")
    x = torch.randn(1, 4, 5, 5)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert equal(layer(x), conv2d(x, layer.weight, layer.bias, groups=4))
        half = torch.nn.functional.conv2d(x, torch.ones(4, 4, 1, 1))
        with pytest.raises(TypeError, match="x is torch.bfloat16.*torch.autocast is on"):
            layer(half)


def test_without_pytorch_the_import_says_how_to_get_it():
    script = "import sys; sys.modules['torch'] = None\nimport cgconv.adapters.torch"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert run.returncode != 0
    assert run.stderr.splitlines()[-1] == (
        "ImportError: cgconv.adapters.torch needs PyTorch 2.4 or later: python -m pip install 'cgconv[torch]'"
    )
