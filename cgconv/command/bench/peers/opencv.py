"""OpenCV as a peer: filter2D, for problems that apply one filter to an image. It must not know the other peers."""
from __future__ import annotations

import cv2
import numpy as np

from ..case import Call, Cannot, Case, Contender

__all__ = ["contenders"]

_BORDERS = {
    0.0: cv2.BORDER_CONSTANT,
    "symmetric-include-edge": cv2.BORDER_REFLECT,
    "symmetric-exclude-edge": cv2.BORDER_REFLECT_101,
    "replicate": cv2.BORDER_REPLICATE,
}


def contenders(threads: int) -> list[Contender]:
    cv2.setNumThreads(threads)
    return [OpenCv()]


class OpenCv:
    """Its images are HWC. From about 11 x 11 on it multiplies in the frequency domain."""

    name = "opencv"
    version = cv2.__version__

    def forward(self, case: Case) -> Call:
        problem = case.problem
        if not problem.is_image_filter:
            raise Cannot("only one filter for all planes of one image, without stride or dilation")
        border = _BORDERS.get(problem.padding_value)
        if border is None:
            raise Cannot(f"no border with padding_value={problem.padding_value}")
        image = np.ascontiguousarray(case.x[0].transpose(1, 2, 0))
        kernel = case.weight[0, 0]
        anchor = (problem.pad_left, problem.pad_top)
        return Call(
            lambda: cv2.filter2D(image, -1, kernel, anchor=anchor, borderType=border),
            lambda y: y.reshape(image.shape).transpose(2, 0, 1)[None],
        )
