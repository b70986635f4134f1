"""cgconv: 2-D grouped convolution on CPUs, with the same bits on every path.

    y = cgconv.conv2d(x, weight, bias, padding="same", groups=4)
    layer = cgconv.GroupedConvolution2DLayer(3, 1, "channel-wise", padding="same")
    y = layer(x)

This file holds names only. It must not know how anything is computed.
"""
from __future__ import annotations

import importlib.machinery
import importlib.util
import os
import sys


def _use_installed_package() -> None:
    """Points __path__ at the installed package where this folder is but the source of one, with nothing compiled.

    In the root of a clone, `import cgconv` finds the source folder first. Everything below this file then has to come
    from one place: the installed package.
    """
    if importlib.util.find_spec(f"{__name__}._core") is not None:
        return
    source = os.path.dirname(os.path.abspath(__file__))
    for entry in sys.path:
        package = importlib.machinery.PathFinder.find_spec(__name__, [entry or os.getcwd()])
        folders = list(package.submodule_search_locations or []) if package is not None else []
        if importlib.machinery.PathFinder.find_spec(f"{__name__}._core", folders) is not None:
            __path__[:] = folders
            return
    raise ImportError(f"{source} holds the source of cgconv, and no compiled cgconv is installed for this Python: "
                      f"run `python -m pip install {os.path.dirname(source)}`")


_use_installed_package()

from ._core import library as _library  # noqa: E402
from .config import (  # noqa: E402
    get_cmake_dir,
    get_include,
    get_library_dir,
    get_num_threads,
    isa_alternatives,
    set_num_threads,
    show_config,
)
from .functional import (  # noqa: E402
    conv2d,
    conv2d_backward_input,
    conv2d_backward_weight,
    pad2d,
    separable_conv2d,
)
from .layer import (  # noqa: E402
    Gradients,
    GroupedConvolution2DLayer,
    Learnable,
    grouped_convolution2d_layer,
)
from .optimizers import SGDM, Adam  # noqa: E402
from .plan import PassInfo, Plan  # noqa: E402
from .storage import load_layer  # noqa: E402

__version__: str = _library()["version"]

__all__ = [
    "Adam",
    "Gradients",
    "GroupedConvolution2DLayer",
    "Learnable",
    "PassInfo",
    "Plan",
    "SGDM",
    "conv2d",
    "conv2d_backward_input",
    "conv2d_backward_weight",
    "get_cmake_dir",
    "get_include",
    "get_library_dir",
    "get_num_threads",
    "grouped_convolution2d_layer",
    "isa_alternatives",
    "load_layer",
    "pad2d",
    "separable_conv2d",
    "set_num_threads",
    "show_config",
]
