"""The peers: for each a file, which alone imports it. This one knows their names, and which of them are installed."""
from __future__ import annotations

import importlib
import importlib.util
from typing import Any

from ...usage import UsageError
from ..case import Contender

__all__ = ["INSTALL", "KNOWN", "contenders"]

# Name, which is also the name of the file, and the package to import.
KNOWN = {
    "torch": "torch",
    "onnxruntime": "onnxruntime",
    "openvino": "openvino",
    "ncnn": "ncnn",
    "opencv": "cv2",
}
INSTALL = 'pip install "cgconv[bench]"'


def contenders(names: tuple[str, ...] | None, threads: int) -> list[Contender]:
    """What these peers bring, or with None those that are installed. Raises UsageError if a named one is not."""
    installed = [name for name, package in KNOWN.items() if importlib.util.find_spec(package) is not None]
    for name in names or ():
        if name not in installed:
            raise UsageError(f"the peer {name} is not installed: {INSTALL}")
    modules = [_module(name) for name in (installed if names is None else names)]
    return [contender for module in modules for contender in module.contenders(threads)]


def _module(name: str) -> Any:
    try:
        return importlib.import_module(f"{__name__}.{name}")
    except (ImportError, OSError) as error:
        raise UsageError(f"the peer {name} is installed but cannot be loaded: {error}") from error
