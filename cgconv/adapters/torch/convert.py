"""torch.nn.Conv2d to GroupedConv2d and back, for one layer or all of a model. What has no equal is left, with a reason.

It must not know how anything is computed. Layers that were converted share their parameters: no optimizer and no
tied weight notices.
"""
from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from ... import spec
from .module import GroupedConv2d

__all__ = ["Replacement", "from_torch", "replace_convolutions", "to_torch"]

_PADDING_VALUES: dict[str, spec.PaddingValue] = {
    "zeros": 0, "reflect": "symmetric-exclude-edge", "replicate": "replicate", "circular": "circular"}
_PADDING_MODES = {value: mode for mode, value in _PADDING_VALUES.items()}


class Replacement(NamedTuple):
    """What `replace_convolutions` did. Its str() is a line for each layer."""

    replaced: tuple[str, ...]
    """The names of the layers that are now GroupedConv2d."""
    left: dict[str, str]
    """The names of the other convolutions, and why each was left alone."""

    def __str__(self) -> str:
        lines = [f"{len(self.replaced)} replaced, {len(self.left)} left alone"]
        lines += [f"  replaced    {name}" for name in self.replaced]
        lines += [f"  left alone  {name}: {reason}" for name, reason in self.left.items()]
        return "\n".join(lines)


def from_torch(conv: nn.Conv2d) -> GroupedConv2d:
    """The GroupedConv2d that computes what this layer computes, on the same parameters.

    ValueError, with the reason, for a layer that has none: one with hooks, parametrizations or a forward pass of its
    own, on another device or of another type. A pad that PyTorch refuses, because it is larger than the input, gets
    reflected or wrapped repeatedly.

    Examples
    --------
    >>> import torch
    >>> from cgconv.adapters.torch import from_torch
    >>> conv = torch.nn.Conv2d(8, 16, 3, groups=4, padding=1, padding_mode="reflect")
    >>> from_torch(conv)
    GroupedConv2d((3, 3), 4, 4, padding=(1, 1), padding_value='symmetric-exclude-edge')
    """
    if reason := _why_not(conv):
        raise ValueError(f"this {type(conv).__name__} cannot be converted: {reason}")
    layer = GroupedConv2d(
        conv.kernel_size, conv.out_channels // conv.groups, conv.groups, padding=conv.padding, stride=conv.stride,
        dilation_factor=conv.dilation, padding_value=_PADDING_VALUES[conv.padding_mode],
        num_channels_per_group=conv.in_channels // conv.groups, bias=conv.bias is not None, device="meta",
        dtype=conv.weight.dtype)
    if not conv.weight.is_contiguous():
        conv.weight.data = conv.weight.data.contiguous()
    layer.weight, layer.bias = conv.weight, conv.bias
    return layer.train(conv.training)


def to_torch(layer: GroupedConv2d) -> nn.Conv2d:
    """The torch.nn.Conv2d that computes what this layer computes, on the same parameters.

    ValueError, with the reason, where PyTorch has no equal: pads that differ from one side to the other, "same" with
    a stride, a constant other than 0, "symmetric-include-edge"; or where the parameters have not been made.
    """
    if is_lazy(layer.weight) or is_lazy(layer.bias):
        raise ValueError("the layer has no parameters yet: let an input through it first")
    channels, per_group = layer.weight.shape[:2]
    padding: Any = layer.padding
    if len(padding) == 4 and padding != "same":
        raise ValueError(f"padding={padding}: torch.nn.Conv2d pads opposite sides alike")
    if padding == "same" and layer.stride != (1, 1):
        raise ValueError(f"padding='same' with stride={layer.stride}: torch.nn.Conv2d has it for stride 1 only")
    mode = "zeros" if padding == (0, 0) else _PADDING_MODES.get(layer.padding_value)
    if mode is None:
        raise ValueError(f"padding_value={layer.padding_value!r}: torch.nn.Conv2d has no such padding")
    groups = channels // layer.num_filters_per_group
    conv = nn.Conv2d(per_group * groups, channels, layer.filter_size, layer.stride, padding, layer.dilation_factor,
                     groups, layer.bias is not None, mode, device="meta", dtype=layer.weight.dtype)
    conv.weight, conv.bias = layer.weight, layer.bias
    return conv.train(layer.training)


def replace_convolutions(model: nn.Module, which: str = "grouped") -> Replacement:
    """Puts a GroupedConv2d in the place of each torch.nn.Conv2d of the model, as `from_torch` makes it.

    which="grouped" takes the layers with more than one group, "all" every one. The model is changed in place, and
    computes the same but for rounding; its parameters are the same objects as before, under the same names.

    Examples
    --------
    >>> import torch
    >>> from cgconv.adapters.torch import replace_convolutions
    >>> model = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 1), torch.nn.Conv2d(8, 8, 3, groups=8))
    >>> print(replace_convolutions(model))
    1 replaced, 1 left alone
      replaced    1
      left alone  0: it has one group, and which='grouped'
    """
    which = spec.choice("which", which, ("grouped", "all"))
    if isinstance(model, nn.Conv2d):
        raise ValueError("the model is one convolution, which cannot be replaced in place: use from_torch")
    made: dict[nn.Module, GroupedConv2d] = {}
    replaced, left = [], {}
    for path, parent in list(model.named_modules(remove_duplicate=False)):
        for name, child in list(parent._modules.items()):
            if not isinstance(child, nn.Conv2d):
                continue
            full = f"{path}.{name}" if path else name
            reason = _why_not(child)
            if reason is None and which == "grouped" and child.groups == 1:
                reason = "it has one group, and which='grouped'"
            if reason is not None:
                left[full] = reason
                continue
            if child not in made:
                made[child] = from_torch(child)
            setattr(parent, name, made[child])
            replaced.append(full)
    return Replacement(tuple(replaced), left)


def _why_not(conv: nn.Module) -> str | None:
    """Why a module has no GroupedConv2d that does the same; None if it has one."""
    kind = type(conv)
    if not isinstance(conv, nn.Conv2d):
        return f"it is a {kind.__name__}, not a torch.nn.Conv2d"
    if any(getattr(kind, name) is not getattr(nn.Conv2d, name) for name in ("forward", "_conv_forward", "__call__")):
        return f"{kind.__name__} computes in a way of its own"
    weight, bias = (conv._parameters.get(name) for name in ("weight", "bias"))
    if is_lazy(weight):
        return "it has no parameters yet: let an input through the model first"
    if weight is None or (bias is None and conv.bias is not None):
        return "its parameters are computed, by a parametrization or by pruning"
    if any(getattr(conv, name, None) for name in _HOOKS):
        return "it has hooks, which the replacement would not run"
    if weight.device.type not in ("cpu", "meta"):
        return f"it lies on {weight.device}, and cgconv computes on the CPU"
    if weight.dtype not in (torch.float32, torch.float64):
        return f"it is {weight.dtype}, and cgconv computes in float32 and float64"
    return None


_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks", "_state_dict_hooks",
          "_state_dict_pre_hooks", "_load_state_dict_pre_hooks", "_load_state_dict_post_hooks")
