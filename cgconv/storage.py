"""Layers in files: .npz, and .safetensors where that package is installed. It must not know how a layer computes.

Both hold the arrays `weight` (F*G x C/G x h x w) and `bias` (F*G), as far as they exist, and the properties as JSON.
"""
from __future__ import annotations

import json
import os
import secrets
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from . import initializers
from .layer import GroupedConvolution2DLayer
from .spec import integer, shown

KIND = "cgconv.GroupedConvolution2DLayer"
VERSION = 1
SUFFIXES = (".npz", ".safetensors")

_PLAIN = ("filter_size", "num_filters_per_group", "num_groups", "num_channels_per_group", "stride", "dilation_factor",
          "padding_value", "weight_learn_rate_factor", "bias_learn_rate_factor", "weight_l2_factor", "bias_l2_factor",
          "name", "data_format")
_KEYS = {*_PLAIN, "padding", "dtype", "seed", "weights_initializer", "bias_initializer"}

Arrays = dict[str, np.ndarray[Any, Any]]


def save(layer: GroupedConvolution2DLayer, path: Any) -> None:
    """Writes the layer to the path, whole or not at all."""
    target = _path(path)
    properties = json.dumps({"kind": KIND, "version": VERSION, "properties": _properties(layer)})
    arrays: Arrays = {}
    if layer.weights is not None:
        height, width, channels, filters, groups = layer.weights.shape
        arrays["weight"] = layer.weights.transpose(4, 3, 2, 0, 1).reshape(filters * groups, channels, height, width)
    if layer.bias is not None:
        arrays["bias"] = layer.bias.transpose(3, 2, 0, 1).reshape(-1)
    if target.suffix == ".npz":
        with whole_file(target) as file:
            parts: dict[str, Any] = {"properties": np.array(properties), **arrays}
            np.savez(file, **parts)
    else:
        content = _safetensors().save(arrays, {"cgconv": properties})
        with whole_file(target) as file:
            file.write(content)


def load_layer(path: Any) -> GroupedConvolution2DLayer:
    """The layer that `GroupedConvolution2DLayer.save` has written to a .npz or .safetensors file.

    Nothing in the file is run, and everything in it is checked: ValueError says what is wrong with a file that is no
    such layer, or is damaged. OSError if it cannot be read.

    Examples
    --------
    >>> import os, tempfile, cgconv
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "layer.npz")
    ...     cgconv.GroupedConvolution2DLayer(3, 2, "channel-wise", name="conv1").save(path)
    ...     cgconv.load_layer(path).name
    'conv1'
    """
    source = _path(path)
    try:
        text, arrays = _read_npz(source) if source.suffix == ".npz" else _read_safetensors(source)
        return _layer(json.loads(text), arrays)
    except (ValueError, TypeError, KeyError, EOFError, RecursionError, MemoryError, NotImplementedError, RuntimeError,
            zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(f"{str(source)!r} is not a layer saved by cgconv, or is damaged: {error}") from error


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """A file to write to. It takes its name when the block ends; if the block fails, nothing stays behind."""
    target = Path(os.path.realpath(path))
    partial = target.with_name(f".{target.name[:100]}.{secrets.token_hex(6)}.part")
    try:
        with open(partial, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, target)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def _path(path: Any) -> Path:
    target = Path(os.fsdecode(path))
    if target.suffix not in SUFFIXES:
        raise ValueError(f"path={shown(str(target))}: a layer's file must end in {' or '.join(SUFFIXES)}")
    return target


def _properties(layer: GroupedConvolution2DLayer) -> dict[str, Any]:
    """What the constructor needs to make the layer again, but for the arrays."""
    complete = layer.weights is not None and layer.bias is not None
    if layer.seed is not None and not isinstance(layer.seed, int) and not complete:
        raise ValueError("the layer's seed is no int, and cannot be saved: initialize the layer before saving it")
    properties = {name: getattr(layer, name) for name in _PLAIN}
    properties.update(
        padding="same" if layer.padding_mode == "same" else layer.padding_size,
        dtype=layer.dtype.name,
        seed=layer.seed if isinstance(layer.seed, int) else None,
        weights_initializer=_initializer("weights_initializer", layer.weights_initializer, layer.weights),
        bias_initializer=_initializer("bias_initializer", layer.bias_initializer, layer.bias))
    return properties


def _initializer(name: str, initializer: initializers.Initializer, value: Any) -> Any:
    if isinstance(initializer, str):
        return initializer
    if value is None:
        raise ValueError(f"{name} is a function, and cannot be saved: initialize the layer before saving it")
    return {"function": str(getattr(initializer, "__name__", type(initializer).__name__))}


def _layer(content: Any, arrays: Arrays) -> GroupedConvolution2DLayer:
    if not isinstance(content, dict) or content.get("kind") != KIND:
        raise ValueError("it holds something else")
    if content.get("version") != VERSION:
        raise ValueError(f"its version is {shown(content.get('version'))}, and this cgconv reads {VERSION}")
    properties = content.get("properties")
    if not isinstance(properties, dict) or set(properties) != _KEYS:
        raise ValueError("its properties are not those of a layer")
    for name in ("weights_initializer", "bias_initializer"):
        if isinstance(properties[name], dict):
            properties[name] = initializers.Forgotten(str(properties[name]["function"]))
    filters = integer("num_filters_per_group", properties["num_filters_per_group"], 1)
    if set(arrays) - {"weight", "bias"}:
        raise ValueError(f"it holds the arrays {sorted(arrays)}")
    for name, array in arrays.items():
        if array.dtype != np.dtype(properties["dtype"]):
            raise ValueError(f"its {name} is {array.dtype}, and its layer {properties['dtype']}")
        if array.ndim != (4 if name == "weight" else 1) or array.shape[0] % filters:
            raise ValueError(f"its {name} has the shape {array.shape}")
    weight, bias = arrays.get("weight"), arrays.get("bias")
    return GroupedConvolution2DLayer(
        **properties,
        weights=None if weight is None else weight.reshape(-1, filters, *weight.shape[1:]).transpose(3, 4, 2, 1, 0),
        bias=None if bias is None else bias.reshape(1, 1, -1, filters).transpose(0, 1, 3, 2))


def _read_npz(path: Path) -> tuple[str, Arrays]:
    with open(path, "rb") as file:
        content = np.load(file, allow_pickle=False)
        if not isinstance(content, np.lib.npyio.NpzFile):
            raise ValueError("it is no .npz archive")
        arrays = {name: content[name] for name in content.files}
    text = arrays.pop("properties", None)
    if text is None or text.dtype.kind != "U" or text.ndim != 0:
        raise ValueError("it holds no properties of a layer")
    return str(text), arrays


def _read_safetensors(path: Path) -> tuple[str, Arrays]:
    library = _safetensors()
    content = path.read_bytes()
    try:
        arrays = library.load(content)
        # The file begins with the length of its header, in 8 bytes, and the header, in JSON.
        header = json.loads(content[8:8 + int.from_bytes(content[:8], "little")])
    except Exception as error:  # the library's own exception has no public name in all versions
        raise ValueError(str(error)) from error
    return header.get("__metadata__", {})["cgconv"], arrays


def _safetensors() -> Any:
    try:
        import safetensors.numpy
    except ImportError:
        raise ImportError("a .safetensors file needs the package safetensors: "
                          "python -m pip install 'cgconv[safetensors]', or use .npz") from None
    return safetensors.numpy
