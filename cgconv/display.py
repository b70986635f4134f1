"""How a layer shows itself: its properties under their headings. It must not know what they mean."""
from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .layer import GroupedConvolution2DLayer

_COLUMN = 25


def of_layer(layer: GroupedConvolution2DLayer) -> str:
    """The layer's properties, one a line."""
    return "\n".join([
        "  GroupedConvolution2DLayer with properties:",
        "",
        _line("Name", _value(layer.name)),
        "",
        "   Hyperparameters",
        _line("FilterSize", _value(layer.filter_size)),
        _line("NumGroups", _value(layer.num_groups)),
        _line("NumChannelsPerGroup", _value(layer.num_channels_per_group)),
        _line("NumFiltersPerGroup", _value(layer.num_filters_per_group)),
        _line("Stride", _value(layer.stride)),
        _line("DilationFactor", _value(layer.dilation_factor)),
        _line("PaddingMode", _value(layer.padding_mode)),
        _line("PaddingSize", _value(layer.padding_size)),
        _line("PaddingValue", _value(layer.padding_value)),
        "",
        "   Learnable Parameters",
        _line("Weights", _array(layer.weights)),
        _line("Bias", _array(layer.bias)),
    ])


def _line(name: str, value: str) -> str:
    return f"{name:>{_COLUMN}}: {value}"


def _value(value: Any) -> str:
    if isinstance(value, tuple):
        return f"[{' '.join(map(str, value))}]"
    if isinstance(value, str):
        return f"'{value}'"
    return f"{value:.15g}"


def _array(array: Any) -> str:
    return "[]" if array is None else f"[{'x'.join(map(str, array.shape))} {array.dtype}]"
