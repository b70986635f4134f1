"""The learn-rate and L2 factors of layers as parameter groups of torch.optim. It must not know optimizers."""
from __future__ import annotations

from typing import Any

from torch import nn

from ... import properties
from .module import GroupedConv2d

__all__ = ["param_groups"]


def param_groups(model: nn.Module, lr: float, weight_decay: float = 0.0) -> list[dict[str, Any]]:
    """The parameters of the model, in groups with the learning rate and the weight decay of each.

    Those of a GroupedConv2d get its factors times `lr` and `weight_decay`, all others `lr` and `weight_decay`. The
    L2 factor adds to the gradient, as weight_decay does in torch.optim.SGD and Adam (AdamW shrinks the weights
    instead). ValueError if layers that share a parameter disagree.

    Examples
    --------
    >>> import torch
    >>> from cgconv.adapters.torch import GroupedConv2d, param_groups
    >>> layer = GroupedConv2d(3, 1, 4, num_channels_per_group=2, bias_learn_rate_factor=2)
    >>> optimizer = torch.optim.SGD(param_groups(layer, lr=0.1, weight_decay=1e-4), momentum=0.9)
    >>> [(len(g["params"]), g["lr"], g["weight_decay"]) for g in optimizer.param_groups]
    [(1, 0.1, 0.0001), (1, 0.2, 0.0)]
    """
    lr, weight_decay = properties.factor("lr", lr), properties.factor("weight_decay", weight_decay)
    factors: dict[nn.Parameter, tuple[float, float]] = {}
    for path, module in model.named_modules():
        for name, parameter in module.named_parameters(recurse=False):
            pair = _factors(module, name)
            if factors.setdefault(parameter, pair) != pair:
                raise ValueError(f"{path}.{name} is shared with a layer that has other factors than {pair}")
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for parameter, pair in factors.items():
        groups.setdefault(pair, []).append(parameter)
    return [{"params": parameters, "lr": lr * rate, "weight_decay": weight_decay * decay}
            for (rate, decay), parameters in groups.items()]


def _factors(module: nn.Module, name: str) -> tuple[float, float]:
    """The learn-rate and the L2 factor of a parameter."""
    if not isinstance(module, GroupedConv2d):
        return 1, 1
    if name == "weight":
        return module.weight_learn_rate_factor, module.weight_l2_factor
    return module.bias_learn_rate_factor, module.bias_l2_factor
