"""What a pass should give: some of it from the reference, and how far right results may lie apart.

A result is right if it differs from ours by no more than rounding can: each of the two sums of K products may be off
by K * eps / 2 times the sum of their absolute values, in whatever order it was added up. Ours must have the bits of
the reference. It must not know who computed a result, nor clocks.
"""
from __future__ import annotations

import math
from typing import Any

import numpy as np

from ... import conv2d, conv2d_backward_input, conv2d_backward_weight
from .case import Case

__all__ = ["Wrong", "bound", "check", "check_bits"]

_REFERENCE_FLOPS = 20_000_000  # what the reference, which is slow, is asked to compute of a problem


class Wrong(Exception):
    """A result is not the convolution. The text says how far it is off."""


def check_bits(case: Case, pass_name: str, found: np.ndarray) -> None:
    """Compares ours with the reference: the last image, or all for weights; the last groups, or the last filters."""
    problem = case.problem
    per_filter = problem.flops // (problem.filters_per_group * problem.groups)
    if pass_name != "backward_weight":
        per_filter //= problem.n
    filters = min(max(1, _REFERENCE_FLOPS // per_filter), problem.filters_per_group * problem.groups)
    groups = max(1, filters // problem.filters_per_group)
    if pass_name != "forward" or filters >= problem.filters_per_group:
        filters = groups * problem.filters_per_group  # an input's gradient needs all filters of its group
    channels = groups * (problem.c // problem.groups)
    images = slice(None) if pass_name == "backward_weight" else slice(-1, None)
    x, weight = case.x[images, -channels:], case.weight[-filters:]
    keywords = {**problem.keywords, "groups": groups, "threads": case.threads, "algorithm": "reference"}
    if pass_name == "forward":
        expected, found = conv2d(x, weight, **keywords), found[images, -filters:]
    elif pass_name == "backward_input":
        dy = case.dy[images, -filters:]
        expected, found = conv2d_backward_input(dy, weight, x.shape, **keywords), found[images, -channels:]
    else:
        dy = case.dy[:, -filters:]
        expected, found = conv2d_backward_weight(x, dy, weight.shape, **keywords)[0], found[-filters:]
    found = np.ascontiguousarray(found)
    if found.shape != expected.shape or found.dtype != expected.dtype or found.tobytes() != expected.tobytes():
        raise Wrong("ours does not have the bits of the reference")


def bound(case: Case, pass_name: str) -> np.ndarray:
    """How far two right results may lie apart, for each of their numbers."""
    problem = case.problem
    keywords = {**problem.keywords, "threads": case.threads}
    if not isinstance(problem.padding_value, str):
        keywords["padding_value"] = abs(problem.padding_value)
    largest: np.ndarray
    if pass_name == "forward":
        terms, largest = problem.terms, conv2d(np.abs(case.x), np.abs(case.weight), **keywords)
    elif pass_name == "backward_input":
        terms = problem.filters_per_group * problem.kh * problem.kw
        if isinstance(problem.padding_value, str):  # what padding received is added
            terms *= math.prod(problem.y_shape[2:])
        largest = conv2d_backward_input(np.abs(case.dy), np.abs(case.weight), problem.x_shape, **keywords)
    else:
        terms = problem.n * math.prod(problem.y_shape[2:])
        largest = conv2d_backward_weight(np.abs(case.x), np.abs(case.dy), problem.weight_shape, **keywords)[0]
    largest *= terms * np.finfo(case.dtype).eps
    return largest


def check(found: Any, ours: np.ndarray, within: np.ndarray) -> None:
    """Raises Wrong where a result is farther from ours than rounding explains."""
    if found.shape != ours.shape or found.dtype != ours.dtype:
        raise Wrong(f"{found.dtype} {found.shape} instead of {ours.dtype} {ours.shape}")
    off = np.abs(found - ours)
    wrong = ~(off <= within)  # so that NaN is wrong
    if wrong.any():
        where = np.unravel_index(int(np.argmax(np.where(wrong, off, -1))), ours.shape)
        share = f"{wrong.mean():.2%} of the outputs are"
        raise Wrong(f"{share} off, one by {off[where]:.3g} where rounding explains {within[where]:.3g}")
