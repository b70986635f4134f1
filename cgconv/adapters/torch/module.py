"""GroupedConv2d: cgconv's layer as a torch.nn.Module. It knows parameters and when they are made.

It must not know how anything is computed, nor other modules.
"""
from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.modules.lazy import LazyModuleMixin
from torch.nn.parameter import UninitializedParameter, is_lazy

from ... import initializers, properties, spec
from . import ops

__all__ = ["GroupedConv2d"]


class GroupedConv2d(LazyModuleMixin, nn.Module):
    """A 2-D grouped convolution on CPU tensors, with the options of `cgconv.GroupedConvolution2DLayer`.

    Parameters
    ----------
    filter_size, num_filters_per_group, num_groups, padding, stride, dilation_factor, padding_value
        As for the layer: "channel-wise" groups, "same" at any stride, pads for each side, and every padding value.
    num_channels_per_group : int or "auto"
        C/G. If it is given, and the number of groups too, the parameters are made at once.
    bias : bool
        Whether there is a bias.
    weights_initializer, bias_initializer
        As for the layer; a function gets (h, w, C/G, F, G) or (1, 1, F, G) and returns such an array.
    weight_learn_rate_factor, bias_learn_rate_factor, weight_l2_factor, bias_l2_factor : float
        As for the layer; `param_groups` hands them to an optimizer.
    seed : int, numpy.random.Generator or None
        None draws from PyTorch's generator, which torch.manual_seed seeds. An int gives the weights of the layer.
    device : torch.device, optional
        Where the parameters are made: "cpu", or "meta" for shapes alone.
    dtype : torch.dtype, optional
        torch.float32 or torch.float64; PyTorch's default type, if it is one of them.

    Notes
    -----
    `weight` (F*G x C/G x h x w) and `bias` (F*G) are those of torch.nn.Conv2d, and so is the state_dict. Until the
    first input, or a state_dict, says how many channels there are, both are uninitialized, as in PyTorch's lazy
    modules: let one input through before you make an optimizer.

    The input is N x C x H x W, or C x H x W, in any memory format, which the output follows. Tensors run where they
    are; weights are kept contiguous, also by ``to(memory_format=torch.channels_last)``. Results and gradients have
    the same bits for any number of threads, which is that of torch.get_num_threads().

    Examples
    --------
    >>> import torch
    >>> from cgconv.adapters.torch import GroupedConv2d
    >>> layer = GroupedConv2d(3, 2, "channel-wise", padding="same", stride=2, padding_value="replicate")
    >>> layer(torch.ones(1, 4, 7, 7)).shape, layer.weight.shape
    (torch.Size([1, 8, 4, 4]), torch.Size([8, 1, 3, 3]))
    """

    def __init__(self, filter_size: Any, num_filters_per_group: Any, num_groups: Any, *, padding: spec.Padding = 0,
                 stride: spec.Ints = 1, dilation_factor: spec.Ints = 1, padding_value: spec.PaddingValue = 0,
                 num_channels_per_group: Any = "auto", bias: bool = True,
                 weights_initializer: initializers.Initializer = "glorot",
                 bias_initializer: initializers.Initializer = "zeros", weight_learn_rate_factor: float = 1,
                 bias_learn_rate_factor: float = 1, weight_l2_factor: float = 1, bias_l2_factor: float = 0,
                 seed: Any = None, device: Any = None, dtype: torch.dtype | None = None) -> None:
        super().__init__()
        self.filter_size = spec.pair("filter_size", filter_size, "(h, w)")
        self.num_filters_per_group = spec.integer("num_filters_per_group", num_filters_per_group, 1)
        self.num_groups: int | str = properties.groups("num_groups", num_groups)
        self.num_channels_per_group = properties.channels("num_channels_per_group", num_channels_per_group)
        self.stride = spec.pair("stride", stride)
        self._padding = spec.padding("padding", padding)
        self.dilation_factor = spec.pair("dilation_factor", dilation_factor, "(h, w)")
        self.padding_value = spec.padding_value("padding_value", padding_value)
        self.weights_initializer = initializers.checked("weights_initializer", weights_initializer,
                                                        initializers.OF_WEIGHTS)
        self.bias_initializer = initializers.checked("bias_initializer", bias_initializer, initializers.OF_BIAS)
        self.weight_learn_rate_factor = properties.factor("weight_learn_rate_factor", weight_learn_rate_factor)
        self.bias_learn_rate_factor = properties.factor("bias_learn_rate_factor", bias_learn_rate_factor)
        self.weight_l2_factor = properties.factor("weight_l2_factor", weight_l2_factor)
        self.bias_l2_factor = properties.factor("bias_l2_factor", bias_l2_factor)
        self.seed = initializers.checked_seed("seed", seed)
        dtype = dtype or torch.get_default_dtype()
        ops.check("the layer", torch.empty(0, device=device, dtype=dtype), dtype)
        self.weight = UninitializedParameter(device=device, dtype=dtype)
        self.bias = UninitializedParameter(device=device, dtype=dtype) if bias else None
        if isinstance(self.num_groups, int) and isinstance(self.num_channels_per_group, int):
            like = torch.empty(1, self.num_groups * self.num_channels_per_group, 1, 1, device="meta")
            self._infer_parameters(self, (like,))  # type: ignore[no-untyped-call]  # so that it is lazy no more

    # What torch.nn.Conv2d has too: models read these of their layers.

    @property
    def padding(self) -> Any:
        """The pads in the shortest form that the constructor takes: "same", (a, b) or (top, bottom, left, right)."""
        if self._padding == "same":
            return "same"
        top, bottom, left, right = self._padding
        return (top, left) if (top, left) == (bottom, right) else self._padding

    @property
    def kernel_size(self) -> tuple[int, int]:
        """The filter size."""
        return self.filter_size

    @property
    def dilation(self) -> tuple[int, int]:
        """The dilation factor."""
        return self.dilation_factor

    @property
    def groups(self) -> int | str:
        """The number of groups, or "channel-wise" before the first input."""
        return self.num_groups

    @property
    def in_channels(self) -> int:
        """The channels of the input; 0 before the first."""
        known = isinstance(self.num_groups, int) and isinstance(self.num_channels_per_group, int)
        return self.num_groups * self.num_channels_per_group if known else 0

    @property
    def out_channels(self) -> int:
        """The channels of the output; 0 before they are known."""
        return self.num_groups * self.num_filters_per_group if isinstance(self.num_groups, int) else 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mode, value = spec.pad_mode(self.padding_value)
        return ops.run(x, self.weight, self.bias, self.stride, self._padding, self.dilation_factor, self.num_groups,
                       mode, value)

    def initialize_parameters(self, x: torch.Tensor) -> None:
        """Settles the groups for this input, and makes the parameters that there are not. The first call does it."""
        if x.dim() not in (3, 4):
            raise ValueError(f"x has {x.dim()} axes: it must have 4, N x C x H x W, or 3 without the batch")
        channels = int(x.shape[-3])
        if channels == 0:
            raise ValueError("the input has 0 channels: it must have at least 1")
        groups = self.num_groups if isinstance(self.num_groups, int) else channels
        if channels % groups:
            raise ValueError(f"num_groups={groups} does not divide the {channels} input channels")
        if self.num_channels_per_group not in ("auto", channels // groups):
            raise ValueError(f"num_channels_per_group={self.num_channels_per_group}: the {channels} input channels in "
                             f"num_groups={groups} make {channels // groups}")
        self._settle(groups, channels // groups)

    def reset_parameters(self) -> None:
        """Draws the parameters anew, from the seed or from PyTorch's generator."""
        self._draw([name for name, parameter in self._parameters.items() if not is_lazy(parameter)])

    def extra_repr(self) -> str:
        shown = [f"{self.filter_size}, {self.num_filters_per_group}, {self.num_groups!r}"]
        shown += [f"{name}={value!r}" for name, default in _DEFAULTS.items()
                  if (value := getattr(self, name)) != default]
        return ", ".join([*shown, *(["bias=False"] if self.bias is None else [])])

    def _settle(self, groups: int, per_group: int) -> None:
        """Makes and draws what is uninitialized. ValueError, with nothing done, if the rest does not fit."""
        channels = self.num_filters_per_group * groups
        shapes = {"weight": (channels, per_group, *self.filter_size), "bias": (channels,)}
        for name, parameter in self._parameters.items():
            if parameter is not None and not is_lazy(parameter) and tuple(parameter.shape) != shapes[name]:
                raise ValueError(f"{name}.shape={tuple(parameter.shape)}: the layer and its input need {shapes[name]}")
        made = [name for name, parameter in self._parameters.items() if is_lazy(parameter)]
        with torch.no_grad():
            for name in made:
                self._parameters[name].materialize(shapes[name])  # type: ignore[union-attr]
        self.num_groups, self.num_channels_per_group = groups, per_group
        self._draw(made)

    def _draw(self, names: list[str]) -> None:
        rng = np.random.default_rng(int(torch.randint(2**62, ())) if self.seed is None else self.seed)
        for name in names:  # the weight first, as in the layer
            parameter = self._parameters[name]
            if parameter is None or parameter.is_meta:
                continue
            dtype = np.dtype(str(parameter.dtype).removeprefix("torch."))
            groups = parameter.shape[0] // self.num_filters_per_group
            if name == "weight":
                shape = (*self.filter_size, parameter.shape[1], self.num_filters_per_group, groups)
                drawn = initializers.draw("weights_initializer", self.weights_initializer, shape, rng, dtype)
                drawn = drawn.transpose(4, 3, 2, 0, 1)
            else:
                shape = (1, 1, self.num_filters_per_group, groups)
                drawn = initializers.draw("bias_initializer", self.bias_initializer, shape, rng, dtype)
                drawn = drawn.transpose(3, 2, 0, 1)
            with torch.no_grad():
                parameter.copy_(torch.from_numpy(drawn.reshape(parameter.shape)))

    def _apply(self, fn: Any, recurse: bool = True) -> GroupedConv2d:
        """As of any module, but that the weight stays contiguous, in which order the kernels read it."""
        super()._apply(fn, recurse)
        if not is_lazy(self.weight) and not self.weight.is_contiguous():
            self.weight.data = self.weight.data.contiguous()
        return self


_DEFAULTS = {"stride": (1, 1), "padding": (0, 0), "dilation_factor": (1, 1), "padding_value": 0}
