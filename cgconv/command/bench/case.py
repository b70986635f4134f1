"""A case is a problem with its arrays; a contender is a library that turns a case into a call to be timed.

It says what every contender looks like, and must not know any of them, nor clocks.
"""
from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from operator import itemgetter
from typing import Any, NamedTuple, Protocol

import numpy as np

from ... import Plan, conv2d, conv2d_backward_input, conv2d_backward_weight
from .problems import Problem

__all__ = ["PASSES", "Call", "Cannot", "Case", "Contender", "Ours", "needs_float32", "needs_zero_padding"]

PASSES = ("forward", "backward_input", "backward_weight")  # names of methods of contenders


class Cannot(Exception):
    """A contender has no such convolution. The text says what it lacks."""


class Case:
    """A problem, its arrays in NCHW and OIHW, and the number of threads that every contender keeps to.

    The numbers are random: zeros, and numbers so small that they are denormal, take other times on some machines.
    """

    def __init__(self, problem: Problem, dtype: str, threads: int) -> None:
        rng = np.random.default_rng(0)
        self.problem = problem
        self.dtype = np.dtype(dtype)
        self.threads = threads
        self.x = _uniform(rng, problem.x_shape, self.dtype)
        self.weight = _uniform(rng, problem.weight_shape, self.dtype)
        if problem.is_image_filter:
            self.weight[:] = self.weight[0]  # as the libraries for images have it

    @cached_property
    def dy(self) -> np.ndarray:
        """The gradient of the output."""
        return _uniform(np.random.default_rng(1), self.problem.y_shape, self.dtype)


class Call(NamedTuple):
    """What is timed, and how to read what it returns."""

    run: Callable[[], Any]
    result: Callable[[Any], np.ndarray]
    """The result in NCHW, or a gradient of the weights in OIHW, from what `run` returned."""
    note: str = ""


class Contender(Protocol):
    """A library in one of its ways to be used.

    It has a method for each pass that it can do, `forward` at least, which prepares all that is not timed.
    """

    name: str
    version: str

    def forward(self, case: Case) -> Call:
        """Raises Cannot if it has no such convolution."""


class Ours:
    """This library: the function, or a plan that is made once and given the array to write to, and packed weights."""

    def __init__(self, version: str, layout: str, reuse_plan: bool, pack: bool = False) -> None:
        self.name = "cgconv"
        self.version = version
        self._layout = layout
        self._reuse_plan = reuse_plan or pack
        self._pack = pack

    def forward(self, case: Case) -> Call:
        x, weight = self._laid_out(case.x), case.weight
        keywords = {**case.problem.keywords, "layout": self._layout, "threads": case.threads}
        if not self._reuse_plan:
            return Call(lambda: conv2d(x, weight, **keywords), self._nchw)
        plan = Plan(x.shape, weight.shape, dtype=case.dtype, **keywords)
        out = np.empty(plan.output_shape, case.dtype)
        weights = plan.pack(weight) if self._pack else weight
        return Call(lambda: plan.forward(x, weights, out=out), self._nchw)

    def backward_input(self, case: Case) -> Call:
        dy, weight = self._laid_out(case.dy), case.weight
        shape = self._laid_out(case.x).shape
        keywords = {**case.problem.keywords, "layout": self._layout, "threads": case.threads}
        if not self._reuse_plan:
            return Call(lambda: conv2d_backward_input(dy, weight, shape, **keywords), self._nchw)
        plan = Plan(shape, weight.shape, dtype=case.dtype, **keywords)
        out = np.empty(shape, case.dtype)
        return Call(lambda: plan.backward_input(dy, weight, out=out), self._nchw)

    def backward_weight(self, case: Case) -> Call:
        x, dy, shape = self._laid_out(case.x), self._laid_out(case.dy), case.weight.shape
        keywords = {**case.problem.keywords, "layout": self._layout, "threads": case.threads}
        if not self._reuse_plan:
            return Call(lambda: conv2d_backward_weight(x, dy, shape, **keywords), itemgetter(0))
        plan = Plan(x.shape, shape, dtype=case.dtype, **keywords)
        return Call(lambda: plan.backward_weight(x, dy), itemgetter(0))

    def _laid_out(self, nchw: np.ndarray) -> np.ndarray:
        return nchw if self._layout == "NCHW" else np.ascontiguousarray(nchw.transpose(0, 2, 3, 1))

    def _nchw(self, y: np.ndarray) -> np.ndarray:
        return y if self._layout == "NCHW" else y.transpose(0, 3, 1, 2)


def _uniform(rng: np.random.Generator, shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray:
    """Numbers from -1 to 1, made where they stay."""
    array: np.ndarray = rng.random(shape, dtype)
    array *= 2
    array -= 1
    return array


def needs_float32(case: Case) -> None:
    """Raises Cannot for other types."""
    if case.dtype != np.float32:
        raise Cannot(f"no {case.dtype} convolution")


def needs_zero_padding(case: Case) -> None:
    """Raises Cannot for padding cells that are not zero."""
    if case.problem.padding_value != 0 and any(case.problem.pads):
        raise Cannot(f"no convolution with padding_value={case.problem.padding_value}")
