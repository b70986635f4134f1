"""cgconv.adapters.torch: converting torch.nn.Conv2d and whole models, and saying what has no equal.

On integers every sum is exact, so layers and models that do the same give equal results.
"""

import copy

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from torch import nn  # noqa: E402
from torch.nn.utils import prune  # noqa: E402

from cgconv.adapters.torch import GroupedConv2d, from_torch, replace_convolutions, to_torch  # noqa: E402

CONVOLUTIONS = {
    "plain": {},
    "strided": {"stride": (2, 3), "padding": (2, 1)},
    "dilated": {"dilation": (2, 1), "padding": 2},
    "valid": {"padding": "valid", "padding_mode": "reflect"},
    "same": {"padding": "same", "dilation": (1, 2)},
    "same, even filter": {"padding": "same", "kernel_size": (4, 2)},
    **{mode: {"padding": (2, 3), "padding_mode": mode} for mode in ("reflect", "replicate", "circular")},
    **{f"same {mode}": {"padding": "same", "kernel_size": (2, 3), "dilation": 2, "padding_mode": mode}
       for mode in ("zeros", "reflect", "replicate", "circular")},
    "without bias": {"bias": False},
    "float64": {"dtype": torch.float64},
}  # fmt: skip


def convolution(keywords, groups=3, channels=6):
    """A Conv2d whose parameters are small integers."""
    conv = nn.Conv2d(channels, 12, **{"kernel_size": 3, "groups": groups, **keywords})
    return whole_numbers(conv)


def whole_numbers(model, seed=0):
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        parameter.data = torch.randint(-3, 4, parameter.shape, generator=generator).to(parameter.dtype)
    return model


def image(like, n=2, c=6):
    x = torch.randint(-4, 5, (n, c, 11, 10), generator=torch.Generator().manual_seed(1))
    return x.to(next(like.parameters()).dtype).requires_grad_()


def all_passes(model, x):
    """The output, and the gradients of the input and the parameters."""
    x.grad = None
    model.zero_grad()
    y = model(x)
    y.backward(torch.arange(y.numel()).remainder(5).reshape(y.shape).to(y.dtype))
    return [y.detach(), x.grad, *(p.grad for p in model.parameters())]


def assert_all_equal(first, second):
    assert len(first) == len(second)
    for a, b in zip(first, second, strict=True):
        assert a.dtype == b.dtype and torch.equal(a, b)


@pytest.mark.parametrize("groups", [1, 3, 6])
@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_a_convolution_there_and_back_computes_the_same(name, groups):
    conv = convolution(CONVOLUTIONS[name], groups)
    x, layer = image(conv), from_torch(conv)
    want = all_passes(conv, x)
    assert_all_equal(all_passes(layer, x), want)
    back = to_torch(layer)
    assert_all_equal(all_passes(back, x), want)
    assert conv.weight is layer.weight is back.weight and conv.bias is layer.bias is back.bias
    conv.load_state_dict(layer.state_dict())


def test_a_pad_that_pytorch_refuses_is_reflected_again():
    layer = from_torch(nn.Conv2d(1, 1, 3, padding=4, padding_mode="reflect", bias=False))
    assert layer(torch.ones(1, 1, 2, 2)).shape == (1, 1, 8, 8)
    with pytest.raises(RuntimeError):
        to_torch(layer)(torch.ones(1, 1, 2, 2))


def test_conversion_keeps_whether_a_layer_trains_and_makes_its_weight_contiguous():
    conv = convolution({}, groups=2).eval().to(memory_format=torch.channels_last)
    conv.weight.requires_grad_(False)
    assert not conv.weight.is_contiguous()
    layer = from_torch(conv)
    assert not layer.training and layer.weight.is_contiguous() and not layer.weight.requires_grad
    assert not to_torch(layer).training


@pytest.mark.parametrize(
    ("keywords", "reason"),
    [
        ({"padding": (0, 1, 0, 0)}, r"padding=\(0, 1, 0, 0\): torch.nn.Conv2d pads opposite sides alike"),
        ({"padding": "same", "stride": 2}, "torch.nn.Conv2d has it for stride 1 only"),
        ({"padding": 1, "padding_value": 0.5}, "padding_value=0.5: torch.nn.Conv2d has no such padding"),
        ({"padding": 1, "padding_value": "symmetric-include-edge"}, "torch.nn.Conv2d has no such padding"),
    ],
)
def test_what_pytorch_cannot_do_is_said(keywords, reason):
    with pytest.raises(ValueError, match=reason):
        to_torch(GroupedConv2d(3, 1, 2, num_channels_per_group=1, **keywords))


def test_a_layer_without_parameters_cannot_be_converted():
    with pytest.raises(ValueError, match="no parameters yet"):
        to_torch(GroupedConv2d(3, 1, 2))
    with pytest.raises(ValueError, match="this LazyConv2d cannot be converted: it has no parameters yet"):
        from_torch(nn.LazyConv2d(4, 3))


class Named(nn.Conv2d):
    """A subclass that computes as its base."""


class Doubled(nn.Conv2d):
    """A subclass with a forward pass of its own."""

    def forward(self, x):
        return 2 * super().forward(x)


class Net(nn.Module):
    """One convolution of each kind; `shared` is in it twice, with the weight of `grouped` in `tied`."""

    def __init__(self):
        super().__init__()
        self.dense = nn.Conv2d(6, 6, 1)
        self.grouped = nn.Conv2d(6, 6, 3, padding=1, groups=3)
        self.tied = nn.Conv2d(6, 6, 3, padding=1, groups=3, bias=False)
        self.tied.weight = self.grouped.weight
        self.shared = nn.Conv2d(6, 6, 3, padding=1, groups=6, padding_mode="circular")
        self.block = nn.Sequential(nn.ReLU(), self.shared, Named(6, 6, 3, padding="same", groups=2))
        self.doubled = Doubled(6, 6, 1, groups=2)
        self.hooked = nn.Conv2d(6, 6, 1, groups=2)
        self.hooked.register_forward_hook(lambda module, x, y: -y)
        self.normed = nn.utils.parametrizations.weight_norm(nn.Conv2d(6, 6, 1, groups=2))
        self.up = nn.ConvTranspose2d(6, 6, 1, groups=2)

    def forward(self, x):
        x = self.block(self.shared(self.tied(self.grouped(self.dense(x)))))
        return self.up(self.normed(self.hooked(self.doubled(x))))


LEFT = {
    "doubled": "Doubled computes in a way of its own",
    "hooked": "it has hooks, which the replacement would not run",
    "normed": "its parameters are computed, by a parametrization or by pruning",
}


@pytest.mark.parametrize("which", ["grouped", "all"])
def test_a_model_is_converted_in_place_and_computes_the_same(which):
    torch.manual_seed(0)
    model = Net().double()
    before, names = list(model.parameters()), list(model.state_dict())
    x = image(model)
    want = all_passes(model, x)
    report = replace_convolutions(model, which)
    taken = {"grouped", "tied", "shared", "block.1", "block.2", *(["dense"] if which == "all" else [])}
    assert set(report.replaced) == taken
    assert report.left == {**LEFT, **({} if which == "all" else {"dense": "it has one group, and which='grouped'"})}
    assert all(type(model.get_submodule(name)) is GroupedConv2d for name in taken)
    assert model.shared is model.block[1] and model.tied.weight is model.grouped.weight
    assert all(a is b for a, b in zip(before, model.parameters(), strict=True)) and names == list(model.state_dict())
    for got, wanted in zip(all_passes(model, x), want, strict=True):
        torch.testing.assert_close(got, wanted, rtol=1e-12, atol=1e-10)
    assert str(report).splitlines()[0] == f"{len(taken)} replaced, {len(report.left)} left alone"
    assert "  left alone  hooked: it has hooks, which the replacement would not run" in str(report)


def test_converting_again_changes_nothing():
    model = nn.Sequential(nn.Conv2d(6, 6, 3, groups=2))
    replace_convolutions(model)
    layer = model[0]
    report = replace_convolutions(model, "all")
    assert report == ((), {}) and model[0] is layer


def test_a_converted_model_can_be_copied_and_trained_on():
    model = nn.Sequential(nn.Conv2d(6, 6, 3, groups=2), nn.ReLU())
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    replace_convolutions(model)
    twin, x = copy.deepcopy(model), torch.randn(2, 6, 5, 5)
    model(x).sum().backward()
    optimizer.step()
    assert not torch.equal(model[0].weight, twin[0].weight)


def test_layers_of_other_types_and_pruned_ones_are_left_with_the_reason():
    pruned = nn.Conv2d(4, 4, 1, groups=2)
    prune.l1_unstructured(pruned, "weight", 0.5)
    model = nn.Sequential(nn.Conv2d(4, 4, 1, groups=2).bfloat16(), nn.LazyConv2d(4, 1, groups=2), pruned)
    report = replace_convolutions(model)
    assert report == ((), {
        "0": "it is torch.bfloat16, and cgconv computes in float32 and float64",
        "1": "it has no parameters yet: let an input through the model first",
        "2": "its parameters are computed, by a parametrization or by pruning",
    })  # fmt: skip


def test_wrong_arguments_are_refused():
    with pytest.raises(ValueError, match="which='some': must be 'grouped' or 'all'"):
        replace_convolutions(nn.Sequential(), "some")
    with pytest.raises(ValueError, match="use from_torch"):
        replace_convolutions(nn.Conv2d(4, 4, 1))
    with pytest.raises(ValueError, match="it is a Linear, not a torch.nn.Conv2d"):
        from_torch(nn.Linear(1, 1))
