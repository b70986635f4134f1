"""The plans behind the functions and the layers, kept so that a call like an earlier one decides nothing anew.

It knows which calls may share a plan: those for which a new one would be equal. It must not know what a plan does,
layers or files.
"""
from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from . import _core
from .plan import Plan
from .separable import SeparablePlan

P = TypeVar("P", Plan, SeparablePlan)

MOST = 256
"""The plans that are kept: a few KiB each, as workspaces belong to no plan. When there are more, all are dropped."""

# Reading, storing and clearing a dict is atomic, with and without the GIL, so it needs no lock: a fork could catch
# one in the hand of a thread that the child does not have. Two threads that miss one plan make it twice.
_plans: dict[tuple[Any, ...], Any] = {}


def plan(x_shape: tuple[int, ...], weight_shape: tuple[int, ...], dtype: np.dtype[Any],
         x_strides: tuple[int, ...] | None, y_strides: tuple[int, ...] | None, threads: Any, stride: Any,
         padding: Any, dilation: Any, groups: Any, padding_value: Any, layout: Any, clamp: Any = (None, None),
         algorithm: Any = "auto") -> Plan:
    """`Plan` of these arguments, which must not be given to others. The shapes and strides are checked ones.

    Threads that are not given are looked up at each call: the default may have changed since.
    """
    if threads is None:
        threads = _core.get_num_threads()
    return _shared(_plan, (x_shape, weight_shape, dtype, x_strides, y_strides),
                   (threads, stride, padding, dilation, groups, padding_value, layout, clamp, algorithm))

def separable(x_shape: tuple[int, ...], depthwise_shape: tuple[int, ...], pointwise_shape: tuple[int, ...],
              dtype: np.dtype[Any], x_strides: tuple[int, ...] | None, y_strides: tuple[int, ...] | None, threads: Any,
              stride: Any, padding: Any, dilation: Any, padding_value: Any, layout: Any, depthwise_clamp: Any,
              clamp: Any) -> SeparablePlan:
    """`SeparablePlan.of` these arguments, likewise."""
    if threads is None:
        threads = _core.get_num_threads()
    return _shared(_separable, (x_shape, depthwise_shape, pointwise_shape, dtype, x_strides, y_strides),
                   (threads, stride, padding, dilation, padding_value, layout, depthwise_clamp, clamp))


def _plan(arrays: tuple[Any, ...], words: tuple[Any, ...]) -> Plan:
    x_shape, weight_shape, dtype, x_strides, y_strides = arrays
    threads, stride, padding, dilation, groups, padding_value, layout, clamp, algorithm = words
    return Plan(x_shape, weight_shape, stride=stride, padding=padding, dilation=dilation, groups=groups,
                padding_value=padding_value, layout=layout, clamp=clamp, dtype=dtype, algorithm=algorithm,
                threads=threads, x_strides=x_strides, y_strides=y_strides)


def _separable(arrays: tuple[Any, ...], words: tuple[Any, ...]) -> SeparablePlan:
    x_shape, depthwise_shape, pointwise_shape, dtype, x_strides, y_strides = arrays
    threads, stride, padding, dilation, padding_value, layout, depthwise_clamp, clamp = words
    return SeparablePlan.of(x_shape, depthwise_shape, pointwise_shape, stride=stride, padding=padding,
                            dilation=dilation, padding_value=padding_value, layout=layout,
                            depthwise_clamp=depthwise_clamp, clamp=clamp, dtype=dtype, threads=threads,
                            x_strides=x_strides, y_strides=y_strides)


def _shared(make: Callable[[tuple[Any, ...], tuple[Any, ...]], P], arrays: tuple[Any, ...],
            words: tuple[Any, ...]) -> P:
    """What `make` makes of these arguments, or has made. Their `arrays` differ in length."""
    found: P | None
    if _core.are_clear(words):
        found = _plans.get((arrays, words))
    else:
        try:
            found = _plans.get((arrays, _parts(words)))
        except TypeError:
            found = None
    return found or _new(make, arrays, words)


def _new(make: Callable[[tuple[Any, ...], tuple[Any, ...]], P], arrays: tuple[Any, ...], words: tuple[Any, ...]) -> P:
    """A new plan, which is kept if its words can be part of a key."""
    words = tuple([list(word) if type(word) is list else word for word in words])  # which nobody else can change now
    new = make(arrays, words)
    try:
        key = arrays, _parts(words)
    except TypeError:
        return new
    if len(_plans) >= MOST:
        _plans.clear()
    _plans[key] = new
    return new


def _parts(words: tuple[Any, ...]) -> tuple[Any, ...]:
    """Words as part of a key. TypeError for one that could equal another of another meaning, as True does 1."""
    return tuple([tuple([_item(item) for item in word]) if type(word) in (tuple, list) else _item(word)
                  for word in words])


def _item(word: Any) -> Any:
    if type(word) is float:
        return float, struct.pack("d", word)  # which sees the sign of a zero, and the bits of a NaN
    if _core.are_clear((word,)):
        return word
    raise TypeError
