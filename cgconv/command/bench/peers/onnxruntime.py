"""ONNX Runtime as a peer: a session of one Conv node on its CPU provider. It must not know the other peers."""
from __future__ import annotations

import numpy as np
import onnxruntime

from ..case import Call, Case, Contender, needs_float32, needs_zero_padding
from .onnx_model import conv_model

__all__ = ["contenders"]


def contenders(threads: int) -> list[Contender]:
    return [OnnxRuntime()]


class OnnxRuntime:
    """The input and the output are bound to arrays beforehand, so that a run copies neither."""

    name = "onnxruntime"
    version = onnxruntime.__version__

    def forward(self, case: Case) -> Call:
        needs_float32(case)
        needs_zero_padding(case)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = case.threads
        options.inter_op_num_threads = 1
        session = onnxruntime.InferenceSession(conv_model(case), options, providers=["CPUExecutionProvider"])
        binding = session.io_binding()
        y = onnxruntime.OrtValue.ortvalue_from_numpy(np.empty(case.problem.y_shape, case.dtype))
        binding.bind_cpu_input("x", case.x)
        binding.bind_ortvalue_output("y", y)
        return Call(lambda: session.run_with_iobinding(binding), lambda _: y.numpy())
