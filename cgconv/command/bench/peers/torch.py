"""PyTorch as a peer, in both of its layouts. It must not know the other peers."""
from __future__ import annotations

from typing import Any

import torch
from torch.nn.functional import conv2d, pad

from ..case import Call, Cannot, Case, Contender

__all__ = ["contenders"]

_PAD_MODES = {"symmetric-exclude-edge": "reflect", "replicate": "replicate", "circular": "circular"}


def contenders(threads: int) -> list[Contender]:
    torch.set_num_threads(threads)
    return [Torch("torch", torch.contiguous_format), Torch("torch-nhwc", torch.channels_last)]


class Torch:
    """torch.nn.functional.conv2d on tensors of one memory format."""

    def __init__(self, name: str, memory_format: torch.memory_format) -> None:
        self.name = name
        self.version = str(torch.__version__)
        self._memory_format = memory_format

    def forward(self, case: Case) -> Call:
        problem = case.problem
        x, weight = (torch.from_numpy(array).contiguous(memory_format=self._memory_format)
                     for array in (case.x, case.weight))  # fmt: skip
        keywords: dict[str, Any] = {name: problem.keywords[name] for name in ("stride", "dilation", "groups")}
        top, bottom, left, right = problem.pads
        if (top, left) == (bottom, right) and problem.padding_value == 0:
            return Call(lambda: conv2d(x, weight, padding=(top, left), **keywords), torch.Tensor.numpy)
        mode, value = _pad_mode(problem.padding_value)
        sides = [left, right, top, bottom]
        return Call(lambda: conv2d(pad(x, sides, mode, value), weight, **keywords), torch.Tensor.numpy)


    def backward_input(self, case: Case) -> Call:
        return self._backward(case, 0)

    def backward_weight(self, case: Case) -> Call:
        return self._backward(case, 1)

    def _backward(self, case: Case, wanted: int) -> Call:
        """Gradient `wanted` of input, weight; with that of the bias beside that of the weight, as ours has it."""
        problem = case.problem
        top, bottom, left, right = problem.pads
        if (top, left) != (bottom, right) or (problem.padding_value != 0 and any(problem.pads)):
            raise Cannot("no gradient in one call with this padding")
        dy, x, weight = (torch.from_numpy(array).contiguous(memory_format=self._memory_format)
                         for array in (case.dy, case.x, case.weight))  # fmt: skip
        mask = [wanted == 0, wanted == 1, wanted == 1]
        words: dict[str, Any] = problem.keywords
        rest = ([dy.shape[1]], words["stride"], (top, left), words["dilation"], False, (0, 0), words["groups"], mask)
        backward = torch.ops.aten.convolution_backward
        return Call(lambda: backward(dy, x, weight, *rest), lambda gradients: gradients[wanted].numpy())


def _pad_mode(value: str | float) -> tuple[str, float | None]:
    if not isinstance(value, str):
        return "constant", value
    if value not in _PAD_MODES:
        raise Cannot(f"no padding like {value}")
    return _PAD_MODES[value], None
