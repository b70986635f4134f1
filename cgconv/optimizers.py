"""Steps of training in NumPy: SGD with momentum, and Adam, which honour the factors of each parameter.

They know formulas, and lists of parameters and gradients. They must not know layers, nor where gradients come from.

L2 regularisation adds half the L2 factor times the sum of squares to the loss, so the factor times the value to the
gradient. Adam: D. P. Kingma and J. Ba, Adam: a method for stochastic optimization, ICLR 2015.
"""
from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from . import arrays, spec
from .layer import Learnable
from .properties import factor

Array = np.ndarray[Any, Any]


class Optimizer:
    """What the rules have in common: the checks, the factors, and the state. A rule names its arrays in `_SLOTS`."""

    _SLOTS: tuple[str, ...] = ()

    def __init__(self, learn_rate: float, l2_factor: float) -> None:
        self.learn_rate = factor("learn_rate", learn_rate)
        self.l2_factor = factor("l2_factor", l2_factor)
        self._steps = 0
        self._state: list[tuple[Array, ...]] = []  # for each parameter, an array for each slot

    @property
    def steps(self) -> int:
        """How many steps have been made."""
        return self._steps

    def step(self, learnables: Iterable[Learnable], gradients: Iterable[Any]) -> None:
        """Changes the values of the learnables, in place, by one step.

        learnables : as `layer.learnables()` gives them, those of several layers one after the other. Each step takes
            the same parameters in the same order; the state goes by their places.
        gradients : for each of them, an array of its shape.

        ValueError or TypeError, with nothing changed, if they do not fit.
        """
        learnables = list(learnables)
        taken = _checked(learnables, list(gradients))
        state = self._state or [tuple(np.zeros_like(one.value) for _ in self._SLOTS) for one in learnables]
        if [slots[0].shape for slots in state] != [gradient.shape for gradient in taken]:
            raise ValueError("the shapes of the parameters are not those of the step before: one optimizer takes "
                             "the same parameters in the same order each time")
        self._state, self._steps = state, self._steps + 1
        for one, gradient, slots in zip(learnables, taken, state, strict=True):
            assert one.value is not None
            if l2_factor := self.l2_factor * one.l2_factor:
                gradient = gradient + l2_factor * one.value
            self._update(one.value, gradient, self.learn_rate * one.learn_rate_factor, slots)

    def state(self) -> dict[str, Array]:
        """What a run that goes on later needs, as arrays by name: for np.savez(path, **optimizer.state())."""
        named = {f"{name}.{i}": array.copy() for i, slots in enumerate(self._state)
                 for name, array in zip(self._SLOTS, slots, strict=True)}
        return {"steps": np.array(self._steps), **named}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Goes on from what `state` gave, such as optimizer.load_state(np.load(path)). ValueError if it is no such."""
        names = set(state)
        count = (len(names) - 1) // len(self._SLOTS)
        if names != {"steps", *(f"{name}.{i}" for name in self._SLOTS for i in range(count))}:
            raise ValueError(f"this is no state of {type(self).__name__}: it holds {spec.shown(sorted(names))}")
        steps = spec.integer("steps", np.asarray(state["steps"])[()], 0)
        slots = [tuple(np.array(state[f"{name}.{i}"]) for name in self._SLOTS) for i in range(count)]
        self._steps, self._state = steps, slots

    def _update(self, value: Array, gradient: Array, learn_rate: float, slots: tuple[Array, ...]) -> None:
        """Changes the value and its slots, in place."""
        raise NotImplementedError


class SGDM(Optimizer):
    """Stochastic gradient descent with momentum, in the form of MATLAB's sgdm.

    With the learning rate r and the L2 factor d, each times the parameter's own factor, a step is::

        velocity = momentum * velocity - r * (gradient + d * value)
        value    = value + velocity

    While the learning rate stays the same, torch.optim.SGD makes the same steps. `learn_rate` and `l2_factor` may be
    set between steps. The same gradients give the same bits.

    Examples
    --------
    >>> import numpy as np, cgconv
    >>> layer = cgconv.GroupedConvolution2DLayer(3, 1, "channel-wise", padding="same", seed=0)
    >>> optimizer = cgconv.SGDM(learn_rate=0.1)
    >>> x = np.ones((1, 4, 7, 7), "float32")
    >>> g = layer.backward(x, layer(x))
    >>> optimizer.step(layer.learnables(), [g.weights, g.bias])
    """

    _SLOTS = ("velocity",)

    def __init__(self, learn_rate: float = 0.01, momentum: float = 0.9, l2_factor: float = 1e-4) -> None:
        super().__init__(learn_rate, l2_factor)
        self.momentum = _below_one("momentum", momentum)

    def _update(self, value: Array, gradient: Array, learn_rate: float, slots: tuple[Array, ...]) -> None:
        (velocity,) = slots
        velocity *= self.momentum
        velocity -= learn_rate * gradient
        value += velocity


class Adam(Optimizer):
    """Adam, with the bias of its means corrected, as in the paper and in torch.optim.Adam.

    With the learning rate r and the L2 factor d, each times the parameter's own factor, step t is::

        g      = gradient + d * value
        mean   = beta1 * mean + (1 - beta1) * g
        square = beta2 * square + (1 - beta2) * g**2
        value  = value - r * mean / (1 - beta1**t) / (sqrt(square / (1 - beta2**t)) + epsilon)

    `learn_rate` and `l2_factor` may be set between steps. The same gradients give the same bits.

    Examples
    --------
    >>> import numpy as np, cgconv
    >>> one = cgconv.Learnable("gain", np.ones(3), learn_rate_factor=1, l2_factor=0)
    >>> cgconv.Adam(learn_rate=0.5).step([one], [np.array([1.0, 0.0, -1.0])])
    >>> one.value.round(6)
    array([0.5, 1. , 1.5])
    """

    _SLOTS = ("mean", "square")

    def __init__(self, learn_rate: float = 0.001, beta1: float = 0.9, beta2: float = 0.999, epsilon: float = 1e-8,
                 l2_factor: float = 1e-4) -> None:
        super().__init__(learn_rate, l2_factor)
        self.beta1, self.beta2 = _below_one("beta1", beta1), _below_one("beta2", beta2)
        self.epsilon = factor("epsilon", epsilon)

    def _update(self, value: Array, gradient: Array, learn_rate: float, slots: tuple[Array, ...]) -> None:
        mean, square = slots
        mean *= self.beta1
        mean += (1 - self.beta1) * gradient
        square *= self.beta2
        square += (1 - self.beta2) * gradient * gradient
        scale = np.sqrt(square / (1 - self.beta2**self._steps))
        scale += self.epsilon
        value -= learn_rate / (1 - self.beta1**self._steps) * mean / scale


def _below_one(name: str, value: object) -> float:
    """A decay: at least 0, and below 1."""
    number = factor(name, value)
    if number >= 1:
        raise ValueError(f"{name}={spec.shown(value)}: must be below 1")
    return number


def _checked(learnables: list[Learnable], gradients: list[Any]) -> list[Array]:
    """The gradients as arrays of the types of the values, if there is a right one for each of them."""
    if len(learnables) != len(gradients):
        raise ValueError(f"there are {len(learnables)} learnables and {len(gradients)} gradients")
    taken = []
    for one, gradient in zip(learnables, gradients, strict=True):
        value, name = one.value, spec.shown(one.name)
        if value is None:
            raise ValueError(f"{name} has no value yet: let an input through the layer, or initialize it, first")
        if type(value) is not np.ndarray or value.dtype not in (arrays.FLOAT32, arrays.FLOAT64):
            raise TypeError(f"the value of {name} must be an array of float32 or float64, which a step changes")
        if not value.flags.writeable:
            raise ValueError(f"the value of {name} is read-only")
        array = arrays.real_array(f"the gradient of {name}", gradient)
        if array.shape != value.shape:
            raise ValueError(f"{name} has the shape {value.shape}, and its gradient {array.shape}")
        taken.append(array.astype(value.dtype, copy=False))
    return taken
