"""How weights and biases are drawn before training. It knows formulas and shapes, and must not know layers.

glorot: X. Glorot and Y. Bengio, Understanding the difficulty of training deep feedforward neural networks, AISTATS
2010. he: K. He, X. Zhang, S. Ren and J. Sun, Delving deep into rectifiers, ICCV 2015. Neither is truncated.
Numbers are drawn in float64 and rounded, so that a seed gives the same weights in both precisions.
"""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from . import arrays, spec

Shape = tuple[int, ...]
Initializer = str | Callable[[Shape], Any]

OF_WEIGHTS = ("glorot", "he", "narrow-normal", "zeros", "ones")
OF_BIAS = ("zeros", "narrow-normal", "ones")


class Forgotten:
    """Stands for a function that a saved file could only name. Calling it is an error."""

    def __init__(self, name: str) -> None:
        self.__name__ = name

    def __call__(self, shape: Shape) -> Any:
        raise ValueError(f"the initialiser {self.__name__!r} is a function, which no file keeps: set it again")

    def __repr__(self) -> str:
        return f"<function {self.__name__}, not saved>"


def checked(name: str, value: object, names: tuple[str, ...]) -> Initializer:
    """An initialiser: one of the names, or a function of a shape."""
    return value if callable(value) else spec.choice(name, value, names, also="a function, ")


def checked_seed(name: str, value: object) -> Any:
    """What numpy.random.default_rng takes as a seed; a Generator is used itself."""
    if value is None or isinstance(value, (np.random.Generator, np.random.SeedSequence)):
        return value
    rule = "must be an int that is not negative, None or a numpy.random.Generator"
    return spec.integer(name, value, 0, 2**128 - 1, rule)


def draw(name: str, initializer: Initializer, shape: Shape, rng: np.random.Generator,
         dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
    """An array of this shape: (h, w, C/G, F, G) of weights or (1, 1, F, G) of a bias. `name` is for messages.

    Raises ValueError or TypeError if a function returns anything but real numbers of this shape.
    """
    if callable(initializer):
        array = arrays.real_array(f"what {name} returned", initializer(shape))
        if array.shape != shape:
            raise ValueError(f"{name} was asked for the shape {shape} and returned {array.shape}")
        return array.astype(dtype)
    if initializer == "zeros":
        return np.zeros(shape, dtype)
    if initializer == "ones":
        return np.ones(shape, dtype)
    if initializer == "narrow-normal":
        return rng.normal(0.0, 0.01, shape).astype(dtype)
    height, width, channels, filters = shape[:4]
    fan_in, fan_out = height * width * channels, height * width * filters
    if initializer == "he":
        return rng.normal(0.0, np.sqrt(2 / fan_in), shape).astype(dtype)
    bound = np.sqrt(6 / (fan_in + fan_out))
    return rng.uniform(-bound, bound, shape).astype(dtype)
