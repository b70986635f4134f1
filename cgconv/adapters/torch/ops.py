"""The three passes as operators of PyTorch: cgconv::conv2d and its two gradients, with rules for autograd and tracing.

Tensors are read and written where they are, whatever their strides. It must not know modules.

The operators are closed under differentiation, to any order and for every padding mode. Let conv be the forward map
for a padding value v, conv0 that for v = 0 (the same map in the other modes), Bx(dy, w) the adjoint of conv0(., w) and
Bw(x, dy) the gradient of the weights. Then <g, Bx(dy, w)> = <conv0(g, w), dy> = <Bw0(g, dy), w>, and
<h, Bw(x, dy)> = <conv(x, h), dy>, of which the gradient in x is Bx(dy, h).
"""
# No `from __future__ import annotations`: custom_op reads the annotations, and not as text in every version.

from collections.abc import Sequence
from typing import Any

import torch

from ... import formats, functional, spec

__all__ = ["conv2d", "run"]


def conv2d(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None, *, stride: spec.Ints = 1,
           padding: spec.Padding = 0, dilation: spec.Ints = 1, groups: int = 1,
           padding_value: spec.PaddingValue = 0) -> torch.Tensor:
    """`cgconv.conv2d` on tensors, N x C x H x W or C x H x W, with gradients of any order.

    The tensors lie on the CPU, and are all float32 or all float64. The result has the memory format of x. It runs on
    `torch.get_num_threads()` threads. TypeError or ValueError says what is wrong with an argument.
    """
    mode, value = spec.pad_mode(spec.padding_value("padding_value", padding_value))
    return run(x, weight, bias, spec.pair("stride", stride), spec.padding("padding", padding),
               spec.pair("dilation", dilation, "(h, w)"), spec.integer("groups", groups, 1), mode, value)


def run(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, stride: Any, padding: Any, dilation: Any,
        groups: int, mode: str, value: float) -> torch.Tensor:
    """`conv2d` of checked arguments: it checks the tensors alone."""
    check("x", x, x.dtype)
    check("weight", weight, x.dtype)
    if bias is not None:
        check("bias", bias, x.dtype)
    if x.dim() not in (3, 4):
        raise ValueError(f"x has {x.dim()} axes: it must have 4, N x C x H x W, or 3 without the batch")
    if weight.dim() != 4:
        raise ValueError(f"weight has {weight.dim()} axes: it must have 4, (F*G, C/G, kh, kw)")
    batch = x if x.dim() == 4 else x.unsqueeze(0)
    if padding == "same":
        padding = same_pads(batch.shape[2:], weight.shape[2:], stride, dilation)
    y = torch.ops.cgconv.conv2d(batch, weight, bias, stride, padding, dilation, groups, mode, value)
    return y if x.dim() == 4 else y.squeeze(0)


def check(name: str, tensor: torch.Tensor, dtype: torch.dtype) -> None:
    """TypeError for a tensor that the operators do not take, or of another type than this."""
    if tensor.device.type not in ("cpu", "meta"):
        raise TypeError(f"{name} lies on {tensor.device}, and cgconv computes on the CPU: move it there with .cpu(), "
                        "or keep torch.nn.Conv2d for layers on other devices")
    if tensor.dtype not in (torch.float32, torch.float64):
        autocast = torch.is_autocast_enabled("cpu")
        hint = (" (torch.autocast is on, which makes such tensors: leave it around this layer with "
                "torch.autocast('cpu', enabled=False) and a tensor.float())" if autocast else "")
        raise TypeError(f"{name} is {tensor.dtype}, and cgconv computes in float32 and float64{hint}")
    if tensor.dtype != dtype:
        raise TypeError(f"x is {dtype} and {name} {tensor.dtype}: give both one type")


def same_pads(size: Sequence[int], kernel: Sequence[int], stride: Sequence[int],
              dilation: Sequence[int]) -> tuple[int, ...]:
    """Top, bottom, left and right pad that make the output ceil(size / stride); sizes may be symbols."""
    pads: list[int] = []
    for extent, k, step, d in zip(size, kernel, stride, dilation, strict=True):
        total = max(0, ((extent + step - 1) // step - 1) * step + (k - 1) * d + 1 - extent)
        pads += [total // 2, total - total // 2]
    return tuple(pads)


# ---- the operators -----------------------------------------------------------------------------------------


@torch.library.custom_op("cgconv::conv2d", mutates_args=(), device_types="cpu")
def _conv2d(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, stride: Sequence[int],
            pads: Sequence[int], dilation: Sequence[int], groups: int, mode: str, value: float) -> torch.Tensor:
    y = _new_output(x, weight, stride, pads, dilation)
    functional.conv2d(_array(x), _array(weight), None if bias is None else _array(bias), out=y.numpy(),
                      **_keywords(stride, pads, dilation, groups, mode, value))
    return y


@torch.library.custom_op("cgconv::conv2d_backward_input", mutates_args=(), device_types="cpu")
def _backward_input(dy: torch.Tensor, weight: torch.Tensor, x_shape: Sequence[int], stride: Sequence[int],
                    pads: Sequence[int], dilation: Sequence[int], groups: int, mode: str) -> torch.Tensor:
    dx = _new_like(dy, x_shape)
    functional.conv2d_backward_input(_array(dy), _array(weight), dx.shape, out=dx.numpy(),
                                     **_keywords(stride, pads, dilation, groups, mode, 0.0))
    return dx


@torch.library.custom_op("cgconv::conv2d_backward_weight", mutates_args=(), device_types="cpu")
def _backward_weight(x: torch.Tensor, dy: torch.Tensor, weight_shape: Sequence[int], stride: Sequence[int],
                     pads: Sequence[int], dilation: Sequence[int], groups: int, mode: str,
                     value: float) -> tuple[torch.Tensor, torch.Tensor]:
    dw, db = functional.conv2d_backward_weight(_array(x), _array(dy), tuple(weight_shape),
                                               **_keywords(stride, pads, dilation, groups, mode, value))
    return torch.from_numpy(dw), torch.from_numpy(db)


def _array(tensor: torch.Tensor) -> Any:
    """The memory of a tensor as an array of NumPy."""
    return tensor.detach().numpy()


def _keywords(stride: Sequence[int], pads: Sequence[int], dilation: Sequence[int], groups: int, mode: str,
              value: float) -> dict[str, Any]:
    return {"stride": tuple(stride), "padding": tuple(pads), "dilation": tuple(dilation), "groups": groups,
            "padding_value": value if mode == "constant" else mode, "threads": torch.get_num_threads()}


# ---- what they return, for tracing too ---------------------------------------------------------------------


def _new_output(x: torch.Tensor, weight: torch.Tensor, stride: Sequence[int], pads: Sequence[int],
                dilation: Sequence[int]) -> torch.Tensor:
    h, w = x.shape[2] + pads[0] + pads[1], x.shape[3] + pads[2] + pads[3]
    kh, kw = ((k - 1) * d + 1 for k, d in zip(weight.shape[2:], dilation, strict=True))
    if h < kh or w < kw:
        raise ValueError(f"the padded input of {h} x {w} cells is smaller than the filter, which spans {kh} x {kw}")
    return _new_like(x, (x.shape[0], weight.shape[0], (h - kh) // stride[0] + 1, (w - kw) // stride[1] + 1))


def _new_like(like: torch.Tensor, shape: Sequence[int]) -> torch.Tensor:
    """A new dense tensor of this shape whose axes lie in memory as those of the other."""
    if like.stride(1) != 1 and like.is_contiguous():  # most are, and the rest takes longer
        return torch.empty(tuple(shape), dtype=like.dtype, device=like.device)
    order = (0, 2, 3, 1) if _is_channels_last(like) else formats.memory_order(tuple(like.shape), like.stride(), 1)
    return torch.empty_permuted(tuple(shape), order, dtype=like.dtype, device=like.device)


def _is_channels_last(x: torch.Tensor) -> bool:
    """Whether the strides say so, as PyTorch reads them: those of axes of one cell count, and crops qualify."""
    least = 1
    for axis in (1, 3, 2, 0):
        extent, stride = x.shape[axis], x.stride(axis)
        if extent == 0 or stride < least or (axis == 0 and least == x.stride(1)):
            return False
        least = stride * extent
    return True


@_conv2d.register_fake
def _(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, stride: Sequence[int], pads: Sequence[int],
      dilation: Sequence[int], groups: int, mode: str, value: float) -> torch.Tensor:
    return _new_output(x, weight, stride, pads, dilation)


@_backward_input.register_fake
def _(dy: torch.Tensor, weight: torch.Tensor, x_shape: Sequence[int], *geometry: Any) -> torch.Tensor:
    return _new_like(dy, x_shape)


@_backward_weight.register_fake
def _(x: torch.Tensor, dy: torch.Tensor, weight_shape: Sequence[int],
      *geometry: Any) -> tuple[torch.Tensor, torch.Tensor]:
    return x.new_empty(tuple(weight_shape)), x.new_empty(weight_shape[0])


# ---- their gradients ---------------------------------------------------------------------------------------
# The geometry is (stride, pads, dilation, groups, mode, value), without the value for the gradient of the input.


def _keep_conv2d(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
    x, weight, _, *ctx.geometry = inputs
    ctx.save_for_backward(x, weight)


def _grad_conv2d(ctx: Any, dy: torch.Tensor) -> tuple[Any, ...]:
    (x, weight), geometry = ctx.saved_tensors, ctx.geometry
    needs_x, needs_weight, needs_bias = ctx.needs_input_grad[:3]
    dx = dw = db = None
    if needs_x:
        dx = torch.ops.cgconv.conv2d_backward_input(dy, weight, x.shape, *geometry[:-1])
    if needs_weight:
        dw, db = torch.ops.cgconv.conv2d_backward_weight(x, dy, weight.shape, *geometry)
    elif needs_bias:
        db = dy.sum((0, 2, 3))
    return dx, dw, db if needs_bias else None, *[None] * len(geometry)


def _keep_backward_input(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
    dy, weight, _, *ctx.geometry = inputs
    ctx.save_for_backward(dy, weight)


def _grad_backward_input(ctx: Any, g: torch.Tensor) -> tuple[Any, ...]:
    (dy, weight), geometry = ctx.saved_tensors, (*ctx.geometry, 0.0)
    ddy = dw = None
    if ctx.needs_input_grad[0]:
        ddy = torch.ops.cgconv.conv2d(g, weight, None, *geometry)
    if ctx.needs_input_grad[1]:
        dw, _ = torch.ops.cgconv.conv2d_backward_weight(g, dy, weight.shape, *geometry)
    return ddy, dw, None, *[None] * len(ctx.geometry)


def _keep_backward_weight(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
    x, dy, ctx.weight_shape, *ctx.geometry = inputs
    ctx.save_for_backward(x, dy)


def _grad_backward_weight(ctx: Any, g: torch.Tensor | None, g_bias: torch.Tensor | None) -> tuple[Any, ...]:
    (x, dy), geometry = ctx.saved_tensors, ctx.geometry
    if g is None:
        g = x.new_zeros(tuple(ctx.weight_shape))
    dx = ddy = None
    if ctx.needs_input_grad[0]:
        dx = torch.ops.cgconv.conv2d_backward_input(dy, g, x.shape, *geometry[:-1])
    if ctx.needs_input_grad[1]:
        ddy = torch.ops.cgconv.conv2d(x, g, g_bias, *geometry)
    return dx, ddy, None, *[None] * len(geometry)


_conv2d.register_autograd(_grad_conv2d, setup_context=_keep_conv2d)
_backward_input.register_autograd(_grad_backward_input, setup_context=_keep_backward_input)
_backward_weight.register_autograd(_grad_backward_weight, setup_context=_keep_backward_weight)
