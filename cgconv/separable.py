"""Separable plans: a channel-wise convolution and the pointwise one that reads its result, run as one.

It joins two plans, and leaves to them what an argument may be and where an array lies. It must not know layers or
files.
"""
from __future__ import annotations

from typing import Any

import numpy.typing as npt

from . import _core, formats, spec
from .plan import Plan


class SeparablePlan:
    """Two plans as one: the first channel-wise, the second of 1 x 1 filters, on the output of the first.

    The plans' algorithms, instruction set and threads are used. A run has the bits of `pointwise.forward` on the
    result of `channelwise.forward`. It is immutable, and any number of threads may run it at once.
    """

    def __init__(self, channelwise: Plan, pointwise: Plan) -> None:
        self._channelwise, self._pointwise = channelwise, pointwise
        self._core = _core.Separable(channelwise._core, pointwise._core)

    @classmethod
    def of(cls, x_shape: Any, depthwise_shape: Any, pointwise_shape: Any, *, stride: spec.Ints,
           padding: spec.Padding, dilation: spec.Ints, padding_value: spec.PaddingValue, layout: str,
           depthwise_clamp: spec.Clamp, clamp: spec.Clamp, dtype: npt.DTypeLike, threads: int | None,
           x_strides: Any, y_strides: Any) -> SeparablePlan:
        """The plan for arguments of `separable_conv2d`, of which the shapes and strides have been checked."""
        fmt = formats.of_ndim(formats.parse("layout", layout), "x", len(x_shape))
        groups = x_shape[fmt.c]
        _check_depthwise_shape(depthwise_shape, groups)
        channels = depthwise_shape[0]
        if len(pointwise_shape) != 4 or pointwise_shape[0] == 0 or pointwise_shape[1:] != (channels, 1, 1):
            raise ValueError(f"pointwise_weight.shape={pointwise_shape}: must be (F, {channels}, 1, 1), one filter or "
                             f"more over the {channels} channels that the depthwise convolution makes")
        channelwise = Plan(x_shape, depthwise_shape, stride=stride, padding=padding, dilation=dilation, groups=groups,
                           padding_value=padding_value, layout=layout,
                           clamp=spec.clamp("depthwise_clamp", depthwise_clamp), dtype=dtype, threads=threads,
                           x_strides=x_strides)
        between = channelwise._place.y
        return cls(channelwise, Plan(between.shape, pointwise_shape, layout=layout, clamp=clamp, dtype=dtype,
                                     threads=threads, x_strides=between.strides, y_strides=y_strides))

    @property
    def threads(self) -> int:
        """The most threads that a run uses."""
        return self._core.threads()

    @property
    def workspace_nbytes(self) -> int:
        """The workspace of a run, in bytes."""
        return self._core.workspace_nbytes()

    def forward(self, x: Any, depthwise_weight: Any, pointwise_weight: Any, depthwise_bias: Any = None,
                pointwise_bias: Any = None, out: Any = None) -> Any:
        """The two convolutions; arguments as for `separable_conv2d`."""
        y = self._core.run(x, depthwise_weight, depthwise_bias, pointwise_weight, pointwise_bias, out)
        if y is not None:
            return y
        given = {"x": x, "depthwise_weight": depthwise_weight, "depthwise_bias": depthwise_bias,
                 "pointwise_weight": pointwise_weight, "pointwise_bias": pointwise_bias}
        first, second = self._channelwise, self._pointwise
        inputs = (first._image("x", x, first._place.x), first._weight(depthwise_weight, "depthwise_weight"),
                  first._bias(depthwise_bias, "depthwise_bias"), second._weight(pointwise_weight, "pointwise_weight"),
                  second._bias(pointwise_bias, "pointwise_bias"))
        return second._write(out, second._place.y, given, lambda y: self._core.forward(*inputs, y))


def _check_depthwise_shape(shape: tuple[int, ...], channels: int) -> None:
    if len(shape) != 4:
        raise ValueError(f"depthwise_weight has {len(shape)} axes: it must have 4, (M*C, 1, kh, kw)")
    if channels == 0:
        raise ValueError("the input has 0 channels: it must have at least 1")
    if shape[0] == 0 or shape[0] % channels or shape[1] != 1 or 0 in shape[2:]:
        raise ValueError(f"depthwise_weight.shape={shape}: must be (M*{channels}, 1, kh, kw), one filter or more for "
                         f"each of the {channels} input channels")
