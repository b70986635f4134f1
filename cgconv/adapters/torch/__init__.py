"""cgconv in PyTorch: a layer on CPU tensors that trains, compiles, and takes the place of torch.nn.Conv2d.

    from cgconv.adapters.torch import GroupedConv2d, replace_convolutions
    layer = GroupedConv2d(3, 1, "channel-wise", padding="same")
    print(replace_convolutions(model))

This file holds names only, and says what is missing where PyTorch is. It must not know how anything is computed.
"""
from __future__ import annotations

try:
    from torch.library import custom_op as _custom_op  # noqa: F401  (new in 2.4)
except ImportError as error:
    raise ImportError("cgconv.adapters.torch needs PyTorch 2.4 or later: "
                      "python -m pip install 'cgconv[torch]'") from error

from .convert import Replacement, from_torch, replace_convolutions, to_torch
from .module import GroupedConv2d
from .ops import conv2d
from .training import param_groups

__all__ = [
    "GroupedConv2d",
    "Replacement",
    "conv2d",
    "from_torch",
    "param_groups",
    "replace_convolutions",
    "to_torch",
]
