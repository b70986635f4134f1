"""cgconv.adapters.torch: GroupedConv2d as a module of PyTorch, compiled, copied, saved and trained.

It is compared with the layer of NumPy, with ==. The operators have tests of their own, in test_torch_adapter.py.
"""

import copy
import doctest
import importlib
import itertools
import pickle

import numpy as np
import pytest

import cgconv

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from cgconv.adapters.torch import GroupedConv2d, from_torch, param_groups  # noqa: E402


def equal(a, b):
    """Whether two tensors have the same bits."""
    return a.dtype == b.dtype and a.detach().contiguous().numpy().tobytes() == b.detach().contiguous().numpy().tobytes()


# ---- the layer ---------------------------------------------------------------------------------------------

OPTIONS = {"padding": "same", "stride": (2, 3), "dilation_factor": 2, "padding_value": "circular"}


def layers(seed=5):
    """The layer here, and the one of NumPy."""
    more = {**OPTIONS, "bias_initializer": "narrow-normal", "seed": seed}
    return (kind((3, 2), 2, "channel-wise", **more) for kind in (GroupedConv2d, cgconv.GroupedConvolution2DLayer))


def test_the_layer_is_the_layer_of_numpy():
    ours, numpy = layers()
    x = torch.randn(2, 4, 10, 11, requires_grad=True)
    y = ours(x)
    dy = torch.randn(y.shape)
    y.backward(dy)
    assert np.array_equal(y.detach(), numpy(x.detach().numpy()))
    g = numpy.backward(x.detach().numpy(), dy.numpy())
    assert np.array_equal(x.grad, g.input)
    assert np.array_equal(ours.weight.grad, g.weights.transpose(4, 3, 2, 0, 1).reshape(8, 1, 3, 2))
    assert np.array_equal(ours.bias.grad, g.bias.transpose(3, 2, 0, 1).reshape(8))


def test_the_first_input_settles_groups_and_parameters_unless_they_are_known():
    layer = GroupedConv2d(3, 2, "channel-wise", bias=False)
    assert layer.has_uninitialized_params() and layer.num_groups == "channel-wise" and layer.bias is None
    layer(torch.ones(1, 5, 4, 4))
    assert not layer.has_uninitialized_params()
    assert (layer.num_groups, layer.num_channels_per_group, layer.weight.shape) == (5, 1, (10, 1, 3, 3))
    with pytest.raises(ValueError, match="groups=5 does not divide the 6 input channels"):
        layer(torch.ones(1, 6, 4, 4))
    known = GroupedConv2d(3, 2, 4, num_channels_per_group=3)
    assert known.weight.shape == (8, 3, 3, 3) and known.bias.shape == (8,)
    assert not any(each._forward_pre_hooks for each in (layer, known))
    with pytest.raises(ValueError, match="takes 3 channels per group, but the input has 8 channels in groups=4"):
        known(torch.ones(1, 8, 4, 4))
    with pytest.raises(ValueError, match="num_channels_per_group=2: the 8 input channels in num_groups=8 make 1"):
        GroupedConv2d(3, 2, "channel-wise", num_channels_per_group=2)(torch.ones(1, 8, 4, 4))


def test_models_can_read_of_it_what_they_read_of_a_convolution_of_pytorch():
    conv = torch.nn.Conv2d(6, 8, (3, 2), (2, 1), (1, 2), (1, 3), 2)
    layer = from_torch(conv)
    for name in ("in_channels", "out_channels", "kernel_size", "stride", "padding", "dilation", "groups"):
        assert getattr(layer, name) == getattr(conv, name), name
    lazy = GroupedConv2d(3, 2, "channel-wise", padding=(0, 1, 0, 0))
    assert (lazy.in_channels, lazy.out_channels, lazy.groups, lazy.padding) == (0, 0, "channel-wise", (0, 1, 0, 0))
    lazy(torch.ones(1, 5, 4, 4))
    assert (lazy.in_channels, lazy.out_channels, lazy.groups) == (5, 10, 5)


def test_the_generator_of_pytorch_draws_the_weights_unless_there_is_a_seed():
    def drawn(**keywords):
        return GroupedConv2d(3, 2, 4, num_channels_per_group=3, **keywords).weight

    torch.manual_seed(1)
    first, second = drawn(), drawn()
    torch.manual_seed(1)
    assert equal(first, drawn()) and not equal(first, second)
    assert equal(drawn(seed=1), drawn(seed=1))
    layer = GroupedConv2d(3, 2, 4, num_channels_per_group=3)
    before = layer.weight.detach().clone()
    layer.reset_parameters()
    assert not equal(before, layer.weight)


def test_arguments_are_checked_as_those_of_the_layer():
    for error, match, keywords in (
        (ValueError, "stride=0: must be a positive int", {"stride": 0}),
        (ValueError, "padding='full'", {"padding": "full"}),
        (ValueError, "weight_l2_factor=-1", {"weight_l2_factor": -1}),
        (TypeError, "the layer is torch.bfloat16, and cgconv computes in", {"dtype": torch.bfloat16}),
        (ValueError, "weights_initializer='magic'", {"weights_initializer": "magic"}),
    ):
        with pytest.raises(error, match=match):
            GroupedConv2d(3, 1, 1, **keywords)
    with pytest.raises(ValueError, match="num_groups=3 does not divide the 4 input channels"):
        GroupedConv2d(3, 1, 3)(torch.ones(1, 4, 5, 5))


@pytest.mark.parametrize("settled", [False, True])
@pytest.mark.parametrize("way", ["state_dict", "deepcopy", "pickle", "torch.save"])
def test_a_copy_computes_the_same(way, settled, tmp_path):
    ours, fresh = next(layers()), GroupedConv2d((3, 2), 2, "channel-wise", seed=9, **OPTIONS)
    x = torch.randn(2, 4, 10, 11)
    if settled:
        ours(x)
    if way == "state_dict":
        fresh.load_state_dict(ours.state_dict())
        if not settled:
            assert fresh.has_uninitialized_params()
            return
    elif way == "torch.save":
        torch.save(ours, tmp_path / "layer.pt")
        fresh = torch.load(tmp_path / "layer.pt", weights_only=False)
    else:
        fresh = copy.deepcopy(ours) if way == "deepcopy" else pickle.loads(pickle.dumps(ours))
    assert fresh.has_uninitialized_params() is not settled
    assert equal(fresh(x), ours(x))
    assert fresh.weight.data_ptr() != ours.weight.data_ptr()


def test_a_state_of_another_shape_is_refused():
    wide = GroupedConv2d(5, 2, 4, num_channels_per_group=1)
    layer = GroupedConv2d(3, 2, "channel-wise")
    layer.load_state_dict(wide.state_dict())
    with pytest.raises(ValueError, match=r"weight.shape=\(8, 1, 5, 5\): the layer and its input need \(8, 1, 3, 3\)"):
        layer(torch.ones(1, 4, 6, 6))


def test_the_weight_stays_contiguous_when_a_model_goes_to_channels_last():
    layer = GroupedConv2d(3, 4, 2, num_channels_per_group=3, seed=0)
    before = layer.weight.detach().clone()
    layer.to(memory_format=torch.channels_last)
    assert layer.weight.is_contiguous() and equal(layer.weight, before)
    assert layer.double().weight.dtype == torch.float64
    assert layer(torch.ones(1, 6, 5, 5, dtype=torch.float64)).dtype == torch.float64


def test_inference_mode_has_the_same_bits():
    layer, x = GroupedConv2d(3, 2, 4, num_channels_per_group=1), torch.randn(1, 4, 5, 5)
    with torch.inference_mode():
        y = layer(x)
        assert equal(layer(y[:, ::2]), layer(y[:, ::2].clone()))
    assert equal(y, layer(x))


def test_the_meta_device_gives_shapes():
    layer = GroupedConv2d(3, 2, "channel-wise", padding="same", stride=2, device="meta")
    y = layer(torch.empty(1, 4, 9, 9, device="meta"))
    assert y.shape == (1, 8, 5, 5) and y.device.type == "meta" and layer.weight.device.type == "meta"


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_training_gives_the_same_bits_for_any_number_of_threads(threads):
    def trained(threads):
        before = torch.get_num_threads()
        torch.set_num_threads(threads)
        try:
            model = torch.nn.Sequential(GroupedConv2d(3, 8, 1, padding="same", seed=0),
                                        GroupedConv2d(3, 1, "channel-wise", padding=1, seed=1))  # fmt: skip
            x = torch.randn(8, 3, 40, 40, generator=torch.Generator().manual_seed(0))
            model(x)
            optimizer = torch.optim.SGD(param_groups(model, 1e-3, 1e-4), momentum=0.9)
            for _ in range(3):
                optimizer.zero_grad()
                y = model(x)
                y.backward(y.detach())
                optimizer.step()
            return [p.detach() for p in model.parameters()]
        finally:
            torch.set_num_threads(before)

    assert all(map(equal, trained(threads), trained(1)))


# ---- torch.compile -----------------------------------------------------------------------------------------


def small_model(state=None):
    model = torch.nn.Sequential(GroupedConv2d(3, 2, "channel-wise", padding="same", stride=2, seed=1),
                                torch.nn.ReLU(), GroupedConv2d(1, 3, 1, seed=2))  # fmt: skip
    if state is not None:
        model.load_state_dict(state)
    return model


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("fresh", [False, True])
def test_a_compiled_model_is_one_graph_and_has_the_same_bits(fresh, memory_format):
    torch._dynamo.reset()
    plain = small_model()
    x = torch.randn(2, 4, 9, 9).contiguous(memory_format=memory_format)
    plain(x)
    model = small_model(None if fresh else plain.state_dict())
    compiled = torch.compile(model, backend="aot_eager", fullgraph=True)
    for size in ((2, 4, 9, 9), (3, 4, 12, 7), (1, 4, 13, 11)):  # from the second on, sizes are symbols
        x = torch.randn(size).contiguous(memory_format=memory_format).requires_grad_()
        results = []
        for each in (compiled, plain):
            each.zero_grad(), x.__setattr__("grad", None)
            y = each(x)
            y.square().sum().backward()
            results.append([y, x.grad, *(p.grad for p in each.parameters())])
        assert all(map(equal, *results)), size
    assert [p.stride() for p in results[0][:1]] == [p.stride() for p in results[1][:1]]


# ---- parameter groups --------------------------------------------------------------------------------------


def test_parameter_groups_carry_the_factors_and_hold_each_parameter_once():
    first = GroupedConv2d(3, 1, 4, num_channels_per_group=2, bias_learn_rate_factor=2, weight_l2_factor=0.5)
    second = GroupedConv2d(1, 8, 1, num_channels_per_group=4, weight_learn_rate_factor=0, bias_l2_factor=1)
    model = torch.nn.Sequential(first, torch.nn.BatchNorm2d(4), second, torch.nn.ModuleList([second]))
    groups = param_groups(model, lr=0.1, weight_decay=0.01)
    found = {p: (g["lr"], g["weight_decay"]) for g in groups for p in g["params"]}
    assert len(found) == sum(len(g["params"]) for g in groups) == len(list(model.parameters())) == 6
    assert found == {
        first.weight: (0.1, 0.005), first.bias: (0.2, 0.0), model[1].weight: (0.1, 0.01), model[1].bias: (0.1, 0.01),
        second.weight: (0.0, 0.01), second.bias: (0.1, 0.01),
    }  # fmt: skip
    torch.optim.Adam(groups)


def test_parameter_groups_refuse_what_is_contradictory():
    first, second = (GroupedConv2d(3, 1, 1, num_channels_per_group=1, weight_l2_factor=f) for f in (1, 2))
    second.weight = first.weight
    with pytest.raises(ValueError, match=r"1.weight is shared with a layer that has other factors than \(1, 2\)"):
        param_groups(torch.nn.Sequential(first, second), 0.1)
    with pytest.raises(ValueError, match="lr=-1"):
        param_groups(first, -1)


def test_a_step_with_parameter_groups_is_a_step_of_the_layer_of_numpy():
    more = {"weight_learn_rate_factor": 0.5, "bias_learn_rate_factor": 2, "weight_l2_factor": 3, "bias_l2_factor": 1}
    keywords = {"seed": 0, "bias_initializer": "narrow-normal", **more}
    ours = GroupedConv2d(3, 2, 4, num_channels_per_group=1, dtype=torch.float64, **keywords)
    numpy = cgconv.GroupedConvolution2DLayer(3, 2, 4, dtype="float64", **keywords)
    x = np.random.default_rng(0).standard_normal((2, 4, 6, 6))
    numpy.initialize(x.shape)
    optimizer = torch.optim.SGD(param_groups(ours, 0.1, 0.01), momentum=0.5)
    numpy_optimizer = cgconv.SGDM(0.1, 0.5, 0.01)
    for _ in range(3):
        optimizer.zero_grad()
        y = ours(torch.from_numpy(x))
        y.backward(y.detach() / 9)
        optimizer.step()
        numpy_optimizer.step(numpy.learnables(), numpy.backward(x, numpy(x) / 9)[1:])
    np.testing.assert_allclose(ours.weight.detach().numpy().reshape(4, 2, 3, 3),
                               numpy.weights[:, :, 0].transpose(3, 2, 0, 1), rtol=1e-12)  # fmt: skip
    np.testing.assert_allclose(ours.bias.detach().numpy().reshape(4, 2), numpy.bias[0, 0].T, rtol=1e-12)


def test_the_examples_of_the_documentation_are_true():
    ran = [doctest.testmod(importlib.import_module(f"cgconv.adapters.torch.{name}"))
           for name in ("module", "convert", "training")]  # fmt: skip
    assert all(attempted and not failed for failed, attempted in itertools.chain(ran))
