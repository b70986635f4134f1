"""GroupedConvolution2DLayer: a grouped convolution with its weights, from its properties to its gradients.

It knows the properties, the order of the weights' axes and when they are made. It must not know files, nor how
anything is computed.
"""
from __future__ import annotations

import threading
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from . import arrays, cache, display, formats, initializers, spec
from .plan import Array, Plan, checked_dtype, strides_of, strides_of_output
from .properties import Property, channels, factor, groups, text


class Gradients(NamedTuple):
    """What `GroupedConvolution2DLayer.backward` returns."""

    input: Array
    """Of the shape of x, in the memory order of dy."""
    weights: Array
    """h x w x C/G x F x G."""
    bias: Array
    """1 x 1 x F x G."""


class Learnable(NamedTuple):
    """A parameter of a layer, with what multiplies the global learning rate and the global L2 factor."""

    name: str
    value: Array | None
    learn_rate_factor: float
    l2_factor: float


class GroupedConvolution2DLayer:
    """A 2-D grouped convolution layer, with the behaviour of MATLAB's groupedConvolution2dLayer.

    Parameters
    ----------
    filter_size : int or (h, w)
    num_filters_per_group : int
        F; the layer has F*G output channels, and g*F + f is filter f of group g.
    num_groups : int or "channel-wise"
        G, which divides the input channels; "channel-wise" (or "depthwise") makes one group of each.
    padding : int, (a, b), (t, b, l, r) or "same"
        Cells at the top, bottom, left and right. "same" is worked out anew for each input size.
    stride, dilation_factor : int or (vertical, horizontal)
    padding_value : number or str
        A number, "symmetric-include-edge", "symmetric-exclude-edge", "replicate" or "circular".
    num_channels_per_group : int or "auto"
        C/G; what is given is checked against the input.
    weights_initializer : "glorot", "he", "narrow-normal", "zeros", "ones" or a function of a shape
    bias_initializer : "zeros", "narrow-normal", "ones" or a function of a shape
        A function gets (h, w, C/G, F, G), or (1, 1, F, G), and returns an array of that shape.
    weights, bias : array, optional
        h x w x C/G x F x G and 1 x 1 x F x G. What is None is drawn when the first input is seen.
    weight_learn_rate_factor, bias_learn_rate_factor, weight_l2_factor, bias_l2_factor : float
        Not negative; a training loop multiplies its learning rate and L2 factor by them.
    name : str
    data_format : str
        The axes of the input and the output, as `layout` of `conv2d`.
    dtype : "float32" or "float64"
        Of the weights and the result. Inputs of other real types are converted.
    seed : int, numpy.random.Generator or None
        Where the weights are drawn from. The same int gives the same weights.

    Raises
    ------
    ValueError, TypeError
        If an argument breaks a rule; the message gives the argument, its value and the rule.

    Notes
    -----
    Any number of threads may use one layer at once: a run keeps no state in it, and the first one draws the weights
    under a lock. Setting a property while others run is the caller's race.

    Examples
    --------
    >>> import numpy as np, cgconv
    >>> layer = cgconv.GroupedConvolution2DLayer(3, 2, "channel-wise", padding="same", stride=2, seed=0)
    >>> layer(np.ones((1, 4, 7, 7), "float32")).shape
    (1, 8, 4, 4)
    >>> layer.weights.shape, layer.num_groups
    ((3, 3, 1, 2, 4), 4)
    """

    num_inputs = 1
    input_names = ("in",)
    num_outputs = 1
    output_names = ("out",)

    filter_size = Property(lambda n, v: spec.pair(n, v, "(h, w)"), "Height and width of the filters.",
                           shapes_weights=True)
    num_filters_per_group = Property(lambda n, v: spec.integer(n, v, 1), "F.", shapes_weights=True)
    num_groups = Property(groups, 'G, or "channel-wise" until the layer is initialised.', shapes_weights=True)
    num_channels_per_group = Property(channels, 'C/G, or "auto" until the layer is initialised.', shapes_weights=True)
    stride = Property(spec.pair, "Vertical and horizontal step of the filters.")
    dilation_factor = Property(lambda n, v: spec.pair(n, v, "(h, w)"), "Vertical and horizontal step inside them.")
    padding_value = Property(spec.padding_value, "What stands in the padding: a number, or the name of a rule.")
    weights_initializer = Property(lambda n, v: initializers.checked(n, v, initializers.OF_WEIGHTS),
                                   "How weights that are None are made.")
    bias_initializer = Property(lambda n, v: initializers.checked(n, v, initializers.OF_BIAS),
                                "How a bias that is None is made.")
    weight_learn_rate_factor = Property(factor, "Multiplies the learning rate of the weights.")
    bias_learn_rate_factor = Property(factor, "Multiplies the learning rate of the bias.")
    weight_l2_factor = Property(factor, "Multiplies the L2 factor of the weights.")
    bias_l2_factor = Property(factor, "Multiplies the L2 factor of the bias.")
    name = Property(text, "The layer's name.")

    def __init__(self, filter_size: Any, num_filters_per_group: Any, num_groups: Any, *, padding: spec.Padding = 0,
                 stride: spec.Ints = 1, dilation_factor: spec.Ints = 1, padding_value: spec.PaddingValue = 0,
                 num_channels_per_group: Any = "auto", weights_initializer: initializers.Initializer = "glorot",
                 bias_initializer: initializers.Initializer = "zeros", weights: Any = None, bias: Any = None,
                 weight_learn_rate_factor: float = 1, bias_learn_rate_factor: float = 1, weight_l2_factor: float = 1,
                 bias_l2_factor: float = 0, name: str = "", data_format: str = "BCSS",
                 dtype: npt.DTypeLike = "float32", seed: Any = None) -> None:
        self._lock = threading.Lock()
        self._weight: Array | None = None  # F*G x C/G x h x w, what the kernels read
        self._bias: Array | None = None  # F*G
        self._same_pads: tuple[int, ...] = ()
        self._format = formats.parse("data_format", data_format)
        self._dtype = checked_dtype("dtype", dtype)
        self._padding = spec.padding("padding", padding)
        self._seed = initializers.checked_seed("seed", seed)
        self._rng = np.random.default_rng(self._seed)
        self.filter_size = filter_size
        self.num_filters_per_group = num_filters_per_group
        self.num_groups = num_groups
        self.num_channels_per_group = num_channels_per_group
        self.stride = stride
        self.dilation_factor = dilation_factor
        self.padding_value = padding_value
        self.weights_initializer = weights_initializer
        self.bias_initializer = bias_initializer
        self.weight_learn_rate_factor = weight_learn_rate_factor
        self.bias_learn_rate_factor = bias_learn_rate_factor
        self.weight_l2_factor = weight_l2_factor
        self.bias_l2_factor = bias_l2_factor
        self.name = name
        self.weights = weights
        self.bias = bias

    @property
    def data_format(self) -> str:
        """The axes of the input and the output."""
        return self._format.name

    @property
    def dtype(self) -> np.dtype[Any]:
        """The data type of the weights and the result."""
        return self._dtype

    @property
    def seed(self) -> Any:
        """What was given as the source of random numbers."""
        return self._seed

    @property
    def padding_mode(self) -> str:
        """How the padding was given: "manual" or "same"."""
        return "same" if self._padding == "same" else "manual"

    @property
    def padding_size(self) -> tuple[int, ...]:
        """(top, bottom, left, right). With "same", that of the last input; () before the first."""
        return self._same_pads if self._padding == "same" else self._padding

    @property
    def weights(self) -> Array | None:
        """h x w x C/G x F x G, or None: a view of the buffer that the kernels use. What is set is copied."""
        weight = self._weight
        return None if weight is None else _weights_view(weight, self.num_filters_per_group)

    @weights.setter
    def weights(self, value: Any) -> None:
        self._weight = None if value is None else self._taken("weights", value, self._weights_shape())

    @property
    def bias(self) -> Array | None:
        """1 x 1 x F x G, or None: a view of the buffer that the kernels use. What is set is copied."""
        bias = self._bias
        return None if bias is None else _bias_view(bias, self.num_filters_per_group)

    @bias.setter
    def bias(self, value: Any) -> None:
        self._bias = None if value is None else self._taken("bias", value, self._weights_shape())

    def learnables(self) -> list[Learnable]:
        """The parameters, for a training loop: name, value (None before the first input) and the two factors."""
        return [Learnable("weights", self.weights, self.weight_learn_rate_factor, self.weight_l2_factor),
                Learnable("bias", self.bias, self.bias_learn_rate_factor, self.bias_l2_factor)]

    def initialize(self, input_shape: Any) -> None:
        """Settles num_groups and num_channels_per_group for inputs of this shape, and draws what is None.

        Doing it again changes nothing, except what has been set to None since. ValueError if the shape does not fit
        the layer; then nothing has changed.
        """
        self._plan("input_shape", spec.shape("input_shape", input_shape), None)

    def forward(self, x: Any, *, out: Any = None, threads: int | None = None) -> Any:
        """The convolution of x, in the layer's data format and type. `out` and `threads` are as for `conv2d`."""
        x = arrays.real_array("x", x)
        plan = self._plan("x", x.shape, threads, x_strides=strides_of(x, self._dtype),
                          y_strides=strides_of_output(out, x.ndim, self._dtype))
        return plan.forward(x, self._weight, self._bias, out)

    __call__ = forward
    predict = forward

    def backward(self, x: Any, dy: Any, *, threads: int | None = None) -> Gradients:
        """The gradients of the input, the weights and the bias, for the input x and the gradient dy of the output.

        It needs nothing of an earlier `forward`. The bits do not depend on the number of threads.
        """
        x, dy = arrays.real_array("x", x), arrays.real_array("dy", dy)
        if x.ndim != dy.ndim:
            raise ValueError(f"x has {x.ndim} axes, and dy has {dy.ndim}")
        y_strides = strides_of(dy, self._dtype)
        dx = self._plan("x", x.shape, threads, y_strides=y_strides).backward_input(dy, self._weight)
        plan = self._plan("x", x.shape, threads, x_strides=strides_of(x, self._dtype), y_strides=y_strides)
        dw, db = plan.backward_weight(x, dy)
        filters = self.num_filters_per_group
        return Gradients(dx, _weights_view(dw, filters), _bias_view(db, filters))

    def save(self, path: Any) -> None:
        """Writes the layer to a file that `load_layer` reads: .npz, or .safetensors where that package is installed.

        The file appears whole or not at all. A function as initialiser is saved by name only, once its parameter
        exists; before, saving is an error.
        """
        from .storage import save

        save(self, path)

    def __repr__(self) -> str:
        return display.of_layer(self)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_lock"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _lock=threading.Lock())

    def _weights_shape(self) -> tuple[int | str, ...]:
        """h, w, C/G, F, G, as far as it is known: names stand for the rest."""
        return (*self.filter_size, self.num_channels_per_group, self.num_filters_per_group, self.num_groups)

    def _taken(self, name: str, value: Any, weights_shape: tuple[int | str, ...]) -> Array:
        """A parameter that was given, as a new buffer for the kernels."""
        array = arrays.real_array(name, value)
        self._check_parameter(name, array.shape, weights_shape)
        ordered = array.transpose(4, 3, 2, 0, 1) if name == "weights" else array[0, 0].T  # G and F outermost
        buffer = np.empty(ordered.shape, self._dtype)
        buffer[...] = ordered
        return buffer.reshape(-1, *ordered.shape[2:])

    @staticmethod
    def _check_parameter(name: str, shape: tuple[int, ...], weights_shape: tuple[int | str, ...]) -> None:
        """ValueError if the shape contradicts what is known of h, w, C/G, F, G."""
        expected, axes = ((weights_shape, "h x w x C/G x F x G") if name == "weights"
                          else ((1, 1, *weights_shape[3:]), "1 x 1 x F x G"))
        fits = len(shape) == len(expected) and 0 not in shape and all(
            isinstance(want, str) or have == want for have, want in zip(shape, expected, strict=True))
        if not fits:
            wanted = " x ".join(str(want) if isinstance(want, int) else "any" for want in expected)
            raise ValueError(f"{name}.shape={shape}: must be {axes}, here {wanted}")

    def _plan(self, name: str, x_shape: tuple[int, ...], threads: int | None, *, x_strides: Any = None,
              y_strides: Any = None) -> Plan:
        """The plan for inputs of this shape. It initialises the layer. `name` is the argument's, for messages."""
        channels = x_shape[formats.of_ndim(self._format, name, len(x_shape)).c]
        groups, per_group = self._split(channels)
        own = self.__dict__  # where properties keep their values: to ask each of them takes as long as a run
        plan = cache.plan(x_shape, (own["num_filters_per_group"] * groups, per_group, *own["filter_size"]),
                          self._dtype, x_strides, y_strides, threads, own["stride"], self._padding,
                          own["dilation_factor"], groups, own["padding_value"], self._format.name)
        if (self._weight is None or self._bias is None or own["num_groups"] != groups
                or own["num_channels_per_group"] != per_group):
            with self._lock:
                self._settle(groups, per_group)
        if self._padding == "same":
            self._same_pads = plan.padding
        return plan

    def _split(self, channels: int) -> tuple[int, int]:
        """The number of groups that so many input channels make, and the channels of each."""
        if channels == 0:
            raise ValueError("the input has 0 channels: it must have at least 1")
        given, given_per_group = self.num_groups, self.num_channels_per_group
        groups = channels if isinstance(given, str) else given
        if channels % groups:
            raise ValueError(f"num_groups={groups} does not divide the {channels} input channels")
        per_group = channels // groups
        if given_per_group not in ("auto", per_group):
            raise ValueError(f"num_channels_per_group={given_per_group}: the {channels} input channels "
                             f"in num_groups={groups} make {per_group}")
        return groups, per_group

    def _settle(self, groups: int, per_group: int) -> None:
        """The properties that depend on the input, and the parameters that are None. Changes all or nothing."""
        shape = (*self.filter_size, per_group, self.num_filters_per_group, groups)
        weight, bias = self._weight, self._bias
        if weight is None:
            weight = self._taken("weights", initializers.draw(
                "weights_initializer", self.weights_initializer, shape, self._rng, self._dtype), shape)
        else:
            self._check_parameter("weights", _weights_view(weight, shape[3]).shape, shape)
        if bias is None:
            bias = self._taken("bias", initializers.draw(
                "bias_initializer", self.bias_initializer, (1, 1, *shape[3:]), self._rng, self._dtype), shape)
        else:
            self._check_parameter("bias", _bias_view(bias, shape[3]).shape, shape)
        self._weight, self._bias = weight, bias
        self.__dict__.update(num_groups=groups, num_channels_per_group=per_group)


def _weights_view(weight: Array, filters: int) -> Array:
    """F*G x C/G x h x w seen as h x w x C/G x F x G."""
    return weight.reshape(-1, filters, *weight.shape[1:]).transpose(3, 4, 2, 1, 0)


def _bias_view(bias: Array, filters: int) -> Array:
    """F*G seen as 1 x 1 x F x G."""
    return bias.reshape(1, 1, -1, filters).transpose(0, 1, 3, 2)


def grouped_convolution2d_layer(filter_size: Any, num_filters_per_group: Any, num_groups: Any,
                                **properties: Any) -> GroupedConvolution2DLayer:
    """`GroupedConvolution2DLayer(...)`, as a function.

    Examples
    --------
    >>> import cgconv
    >>> cgconv.grouped_convolution2d_layer(11, 10, 3, name="gconv1").num_filters_per_group
    10
    """
    return GroupedConvolution2DLayer(filter_size, num_filters_per_group, num_groups, **properties)
