"""ncnn as a peer: a network of one layer, run by an extractor. It must not know the other peers."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ncnn
import numpy as np

from ..case import Call, Cannot, Case, Contender, needs_float32

__all__ = ["contenders"]


def contenders(threads: int) -> list[Contender]:
    return [Ncnn()]


class Ncnn:
    """It uses Winograd's algorithm where it thinks it best, which has fewer products; a note says where."""

    name = "ncnn"
    version = ncnn.__version__

    def forward(self, case: Case) -> Call:
        needs_float32(case)
        if case.problem.n > 1:
            raise Cannot("no batches")
        if isinstance(case.problem.padding_value, str) and any(case.problem.pads):
            raise Cannot(f"no convolution with padding_value={case.problem.padding_value}")
        run, direct = _network(case, winograd=True), _network(case, winograd=False)
        # Its choice shows in the bits: both compute the same sums in different ways.
        used = _result(run()).tobytes() != _result(direct()).tobytes()
        return Call(run, _result, "Winograd" if used else "")


def _network(case: Case, winograd: bool) -> Callable[[], Any]:
    net = ncnn.Net()
    net.opt.num_threads = case.threads
    net.opt.use_winograd_convolution = winograd
    net.opt.use_vulkan_compute = False
    net.opt.use_fp16_packed = net.opt.use_fp16_storage = net.opt.use_fp16_arithmetic = False
    net.opt.use_bf16_packed = net.opt.use_bf16_storage = False
    net.load_param_mem(_parameters(case))
    weights = np.zeros(1, "<i4").tobytes() + case.weight.tobytes()  # the tag 0: plain float32 follows
    net.load_model_mem(weights)
    x = ncnn.Mat(case.x[0])

    def run(keep: bytes = weights) -> Any:  # the network may point into these bytes
        extractor = net.create_extractor()
        extractor.input("x", x)
        return extractor.extract("y")[1]

    return run


def _result(y: Any) -> np.ndarray:
    return np.array(y)[None]


def _parameters(case: Case) -> str:
    """The text of the network. The numbered keys are those of ncnn's layers."""
    problem = case.problem
    values = {
        0: problem.filters_per_group * problem.groups,
        1: problem.kw,
        11: problem.kh,
        2: problem.dilation_w,
        12: problem.dilation_h,
        3: problem.stride_w,
        13: problem.stride_h,
        4: problem.pad_left,
        15: problem.pad_right,
        14: problem.pad_top,
        16: problem.pad_bottom,
        18: problem.padding_value,
        5: 0,  # no bias
        6: case.weight.size,
    }
    kind = "Convolution"
    if problem.groups > 1:
        kind, values[7] = "ConvolutionDepthWise", problem.groups
    keys = " ".join(f"{key}={value}" for key, value in values.items())
    return f"7767517\n2 2\nInput input 0 1 x\n{kind} layer 1 1 x y {keys}\n"
