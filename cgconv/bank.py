"""Banks of classic filters as channel-wise layers: edges, Gaussian blurs and Gabor wavelets, each defined in NumPy.

It knows the formulas and how to make a layer of them; it must not know of files, images or the command line.

A bank is an array h x w x F of filters to correlate with, not flipped: `x` grows from left to right, `y` from top to
bottom. A layer made of a bank applies each filter to each channel by itself, keeps the size of the image, and goes on
beyond its edges as a mirror would.
"""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from . import spec
from .layer import GroupedConvolution2DLayer

__all__ = ["edges", "filter_bank", "filter_labels", "gabor", "gaussian", "names"]


@dataclass(frozen=True)
class _Bank:
    filters: Callable[[], np.ndarray]
    labels: tuple[str, ...]


def edges() -> np.ndarray:
    """First and second derivatives, 3 x 3 x 5: Sobel x, Sobel y, Scharr x, Scharr y, Laplacian.

    A derivative along x is the outer product of a smoothing column s and the central difference [-1 0 1]; along y it
    is the transpose. Sobel: s = [1 2 1] (Sobel and Feldman 1968; printed in Duda and Hart, Pattern Classification and
    Scene Analysis, 1973). Scharr: s = [3 10 3], closer to rotation invariance (Scharr, Optimal Operators in Digital
    Image Processing, 2000). The Laplacian is [1 -2 1] along x plus the same along y. The weights are the usual small
    integers, not normalised: 8-bit images give exact results. A positive derivative: brighter towards larger x or y.
    """
    difference = np.array([-1.0, 0.0, 1.0])
    sobel = np.outer([1.0, 2.0, 1.0], difference)
    scharr = np.outer([3.0, 10.0, 3.0], difference)
    laplacian = np.array([[0.0, 1.0, 0.0], [1.0, -4.0, 1.0], [0.0, 1.0, 0.0]])
    return np.stack([sobel, sobel.T, scharr, scharr.T, laplacian], axis=-1)


def gaussian(sigmas: tuple[float, ...] = (1.0, 2.0, 4.0)) -> np.ndarray:
    """Blurs, one per standard deviation in pixels, each scaled to the sum 1: exp(-(x^2 + y^2) / (2 sigma^2)).

    All filters share the window of the widest one, cut at 3 sigma, where the profile has fallen to 1.1 % of its peak.
    """
    y, x = _window(int(np.ceil(3 * max(sigmas))))
    filters = [np.exp(-(x**2 + y**2) / (2 * sigma**2)) for sigma in sigmas]
    return np.stack([each / each.sum() for each in filters], axis=-1)


def gabor(orientations: int = 8, wavelength: float = 8.0, aspect: float = 1.0) -> np.ndarray:
    """Oriented band-pass filters: a cosine wave under a Gaussian envelope, at equal steps over half a turn.

        x' =  x cos(theta) + y sin(theta),   y' = -x sin(theta) + y cos(theta)
        envelope = exp(-(x'^2 + (aspect y')^2) / (2 sigma^2))
        filter = envelope (cos(2 pi x' / wavelength) - k)

    The wave packet is Gabor's (Theory of Communication, 1946), its form in the plane Daugman's (Uncertainty relation
    for resolution in space, spatial frequency, and orientation, JOSA A 2, 1985). The wave runs in direction theta, so
    theta = 0 answers to vertical lines. sigma = 0.56 wavelength gives a bandwidth of one octave. The filter is
    even-symmetric, and k makes it blind to a constant brightness: it takes away a share of the envelope, so that the
    rim stays smooth. Scaled so that the positive weights sum to 1 and the negative ones to -1: the response to values
    0..1 lies within -1..1. The window is cut at 2.5 sigma, where the envelope has fallen to 4.4 % of its peak.
    """
    sigma = 0.56 * wavelength
    y, x = _window(int(np.ceil(2.5 * sigma / min(aspect, 1.0))))
    filters = []
    for theta in np.pi * np.arange(orientations) / orientations:
        along = x * np.cos(theta) + y * np.sin(theta)
        across = y * np.cos(theta) - x * np.sin(theta)
        envelope = np.exp(-(along**2 + (aspect * across) ** 2) / (2 * sigma**2))
        wave = np.cos(2 * np.pi * along / wavelength)
        each = envelope * (wave - (envelope * wave).sum() / envelope.sum())
        filters.append(2 * each / np.abs(each).sum())
    return np.stack(filters, axis=-1)


def _window(radius: int) -> tuple[np.ndarray, np.ndarray]:
    """The coordinates (y, x) of a square window, 0 in its centre."""
    axis = np.arange(-radius, radius + 1, dtype=np.float64)
    return axis[:, None], axis[None, :]


_BANKS = {
    "edges": _Bank(edges, ("Sobel x", "Sobel y", "Scharr x", "Scharr y", "Laplacian")),
    "gaussian": _Bank(gaussian, ("Gaussian, sigma 1", "Gaussian, sigma 2", "Gaussian, sigma 4")),
    "gabor": _Bank(gabor, tuple(f"Gabor {180 * step / 8:g}°" for step in range(8))),
}


def names() -> tuple[str, ...]:
    """The names that `filter_bank` takes."""
    return tuple(_BANKS)


def filter_labels(name: str) -> tuple[str, ...]:
    """What to call each filter of a bank, in its order."""
    return _bank(name).labels


def filter_bank(
    name: str, channels: int | None = None, *, data_format: str = "BCSS", dtype: npt.DTypeLike = "float32"
) -> GroupedConvolution2DLayer:
    """A bank as a channel-wise `GroupedConvolution2DLayer` with "same" padding and mirrored edges.

    With F filters and C channels, output channel c*F + f is filter f applied to channel c. Without `channels`, the
    first input decides how many there are.
    """
    if channels is not None:
        channels = spec.integer("channels", channels, 1)
    filters = _bank(name).filters()

    def weights(shape: tuple[int, ...]) -> np.ndarray:
        return np.broadcast_to(filters[:, :, None, :, None], shape)

    height, width, count = filters.shape
    return GroupedConvolution2DLayer(
        (height, width),
        count,
        "channel-wise" if channels is None else channels,
        num_channels_per_group=1,
        padding="same",
        padding_value="symmetric-include-edge",
        weights_initializer=weights,
        weights=None if channels is None else weights((height, width, 1, count, channels)),
        bias=None if channels is None else np.zeros((1, 1, count, channels)),
        name=name,
        data_format=data_format,
        dtype=dtype,
    )


def _bank(name: str) -> _Bank:
    if name not in _BANKS:
        raise ValueError(f"name={name!r} is not a filter bank; the banks are {', '.join(_BANKS)}")
    return _BANKS[name]
