"""A property of a layer that is checked when it is set, and the checks that only properties need.

It must not know which properties a layer has.
"""
from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar, overload

from . import spec

T = TypeVar("T")

CHANNEL_WISE = ("channel-wise", "depthwise")


class Property(Generic[T]):
    """A property that is checked when it is set. One that shapes the weights cannot change once there are any."""

    def __init__(self, check: Callable[[str, object], T], doc: str, *, shapes_weights: bool = False) -> None:
        self._check, self.__doc__, self._shapes_weights = check, doc, shapes_weights

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, layer: None, owner: type) -> Property[T]: ...
    @overload
    def __get__(self, layer: object, owner: type) -> T: ...
    def __get__(self, layer: object, owner: type) -> Any:
        return self if layer is None else layer.__dict__[self._name]

    def __set__(self, layer: Any, value: Any) -> None:
        checked = self._check(self._name, value)
        if self._shapes_weights and (layer.weights is not None or layer.bias is not None):
            raise ValueError(f"{self._name}={spec.shown(value)}: cannot change while the layer has weights; "
                             "set weights and bias to None first")
        layer.__dict__[self._name] = checked


def groups(name: str, value: object) -> int | str:
    """A number of groups, or "channel-wise"."""
    if isinstance(value, str):
        spec.choice(name, value, CHANNEL_WISE, also="a positive int, ")
        return "channel-wise"
    return spec.integer(name, value, 1, rule="must be a positive int or 'channel-wise'")


def channels(name: str, value: object) -> int | str:
    """A number of channels, or "auto"."""
    if isinstance(value, str):
        return spec.choice(name, value, ("auto",), also="a positive int or ")
    return spec.integer(name, value, 1, rule="must be a positive int or 'auto'")


def factor(name: str, value: object) -> float:
    """A factor of a learning rate or of L2."""
    rule = "must be a finite number that is not negative"
    number = spec.number(name, value, rule)
    if not 0 <= number < float("inf"):
        raise ValueError(f"{name}={spec.shown(value)}: {rule}")
    return int(number) if number == int(number) else number


def text(name: str, value: object) -> str:
    """Any str."""
    if not isinstance(value, str):
        raise TypeError(f"{name}={spec.shown(value)}: must be a str")
    return value
