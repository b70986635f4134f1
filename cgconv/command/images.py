"""Reads images for the command line: files that Pillow knows, .npy arrays, folders of both, sample photographs.

It knows file formats and pixel modes; it must not know of layers, convolutions or output files.
"""
from __future__ import annotations

import contextlib
import math
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

__all__ = [
    "SAMPLES",
    "MissingExtra",
    "Picture",
    "Refused",
    "Source",
    "find_sources",
    "pillow",
    "refuse_huge_images",
    "require_extra",
]

# What Pillow may try to decode, and the file names that a folder is searched for. Formats that start another program
# (EPS) or have no pixels of their own (PDF) are left out.
_FORMATS = {
    "PNG": (".png",),
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "TIFF": (".tif", ".tiff"),
    "WEBP": (".webp",),
    "AVIF": (".avif",),
    "BMP": (".bmp",),
    "GIF": (".gif",),
    "JPEG2000": (".jp2", ".j2k"),
    "PPM": (".ppm", ".pgm", ".pbm", ".pnm"),
    "TGA": (".tga",),
}
_SUFFIXES = frozenset(suffix for suffixes in _FORMATS.values() for suffix in suffixes) | {".npy"}

# Photographs that lie inside scikit-image's wheel, so that nothing is fetched from the network.
SAMPLES = {"astronaut": "astronaut", "camera": "camera", "cat": "chelsea", "coffee": "coffee", "rocket": "rocket"}


class Refused(Exception):
    """This input cannot be used; the others can. The text is one line for the user."""


class MissingExtra(Exception):
    """A package of the extra `images` is needed and not installed."""

    def __init__(self, purpose: str, package: str) -> None:
        super().__init__(f'{purpose} needs {package}: pip install "cgconv[images]"')


@dataclass(frozen=True)
class Picture:
    """The pixels of one input: `format` names the axes of `array`, `white` is the value to be shown as white."""

    array: np.ndarray
    format: str
    white: float


@dataclass(frozen=True)
class Source:
    """One input, not read yet. `shown` is what the user called it; a sample has no path."""

    shown: str
    stem: str
    path: Path | None = None

    @property
    def title(self) -> str:
        """A short name to print under the picture."""
        return self.stem if self.path is None else self.path.name

    def read(self, array_format: str | None) -> Picture:
        """The pixels; `array_format` names the axes of .npy arrays. Raises Refused."""
        if self.path is None:
            return _picture(getattr(_scikit_image(), SAMPLES[self.stem])())
        try:
            if self.path.stat().st_size == 0:
                raise Refused("the file is empty")
            return _read_array(self.path, array_format) if _is_array(self.path) else _read_image(self.path)
        except MemoryError as error:
            raise Refused("too large for the memory") from error
        except OSError as error:  # it was there when the inputs were listed
            raise Refused(f"cannot be read: {_first_line(error)}") from error


def find_sources(
    inputs: Iterable[str], samples: Iterable[str], refuse: Callable[[str, str], None]
) -> Iterator[Source]:
    """The inputs in the order given, folders replaced by the images and arrays directly in them, sorted by name.

    A file that is named twice is taken once. What cannot be used is told to `refuse(name, reason)`.
    """
    seen = set()
    for text in inputs:
        for path in _files(Path(text), refuse):
            if (real := path.resolve()) not in seen:
                seen.add(real)
                yield Source(str(path), path.stem, path)
    for name in dict.fromkeys(samples):
        yield Source(f"sample {name}", name)


def require_extra(sources: Iterable[Source]) -> None:
    """Raises MissingExtra if one of the sources needs a package that is not installed."""
    for source in sources:
        if source.path is None:
            _scikit_image()
        elif not _is_array(source.path):
            pillow()


def refuse_huge_images() -> None:
    """Makes Pillow's warning about images that could exhaust the memory an error, until the filters are restored."""
    with contextlib.suppress(MissingExtra):  # without Pillow no image is decoded either
        warnings.simplefilter("error", pillow().DecompressionBombWarning)


def _files(path: Path, refuse: Callable[[str, str], None]) -> list[Path]:
    try:
        if path.is_file():
            return [path]
        if not path.is_dir():
            refuse(str(path), "neither a file nor a folder" if path.exists() else "no such file or folder")
            return []
        found = sorted(each for each in path.iterdir() if _is_wanted(each))
    except OSError as error:
        refuse(str(path), _first_line(error))
        return []
    if not found:
        refuse(str(path), "holds no images or .npy arrays (subfolders are not searched)")
    return found


def _is_wanted(path: Path) -> bool:
    return path.suffix.lower() in _SUFFIXES and not path.name.startswith(".") and path.is_file()


def _is_array(path: Path) -> bool:
    return path.suffix.lower() == ".npy"


def _read_array(path: Path, array_format: str | None) -> Picture:
    """An array: height x width, or height x width x channels, or what `array_format` says."""
    try:
        array = np.load(path, allow_pickle=False)
    except Exception as error:  # a damaged header can raise nearly anything
        raise Refused(f"cannot be read: {_first_line(error)}") from error
    if not isinstance(array, np.ndarray):
        raise Refused("not a .npy array but an archive of arrays")
    if array.dtype.kind not in "buif":
        raise Refused(f"an array of {array.dtype}; the convolution takes real numbers")
    if array_format is not None:
        if array.ndim != len(array_format):
            raise Refused(f"an array of shape {array.shape}; {array_format} has {len(array_format)} axes")
    elif array.ndim == 2:
        array = array[:, :, None]
    elif array.ndim != 3:
        raise Refused(
            f"an array of shape {array.shape} is neither height x width nor height x width x channels; "
            "--format names the axes of other arrays"
        )
    if array.size == 0:
        raise Refused(f"an array of shape {array.shape} has no pixels")
    return Picture(array, array_format or "SSC", _white(array))


def _read_image(path: Path) -> Picture:
    Image = pillow()
    from PIL import ImageOps

    Image.init()
    try:
        with Image.open(path, formats=[each for each in _FORMATS if each in Image.OPEN]) as image:
            upright = ImageOps.exif_transpose(image)
            array = np.asarray(_without_alpha(upright))
            if image.format == "PNG" and array.dtype == np.int32:
                array = array.astype(np.uint16)  # the 16 bits of the file, which Pillow gives as 32
    except Image.UnidentifiedImageError as error:
        raise Refused(f"not an image that can be read ({', '.join(_FORMATS)}), nor a .npy array") from error
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise Refused(f"more than the {Image.MAX_IMAGE_PIXELS} pixels that Pillow takes; save it as .npy") from error
    except Exception as error:  # decoders raise nearly anything on damaged files
        raise Refused(f"cannot be read: {_first_line(error)}") from error
    return _picture(array)


def _without_alpha(image: Any) -> Any:
    """The image in a mode that NumPy takes as it is; what is transparent shows white, as on paper."""
    if image.mode.startswith("I") or image.mode == "F":
        return image
    grey = image.mode in ("1", "L", "LA")
    if image.has_transparency_data:
        Image, image = pillow(), image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("L" if grey else "RGB")


def _picture(array: np.ndarray) -> Picture:
    """From height x width (x channels). In memory each channel becomes a plane, on which convolutions run best."""
    planes = np.ascontiguousarray(array.reshape(*array.shape[:2], -1).transpose(2, 0, 1))
    return Picture(planes.transpose(1, 2, 0), "SSC", _white(array))


def pillow() -> Any:
    """Pillow's module Image."""
    try:
        from PIL import Image
    except ImportError as error:
        raise MissingExtra("reading or writing an image file", "Pillow") from error
    return Image


def _scikit_image() -> Any:
    try:
        from skimage import data
    except ImportError as error:
        raise MissingExtra("--sample", "scikit-image") from error
    return data


def _white(array: np.ndarray) -> float:
    """Full scale: 255 and 65535 for 8 and 16 bits, 1 for what fits in 0..1, else the largest finite value."""
    if array.dtype in (np.uint8, np.uint16):
        return float(np.iinfo(array.dtype).max)
    largest = float(np.max(array, initial=0, where=np.isfinite(array)))
    return largest if math.isfinite(largest) and largest > 1 else 1.0


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
