"""Draws a contact sheet: an image and the responses of a layer to it, as labelled tiles.

It knows how numbers become shades and where the tiles go; it must not know of layers or convolutions, nor name files.

An array without negative values runs from black, 0, to white, full scale. One with negative values is drawn as a
relief: zero is middle grey, black and white are the ends of a range symmetric about it, which stands under the tile.
"""
from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np

from .images import pillow

__all__ = ["Tile", "draw_sheet", "response_tiles"]

_TILE = 240  # longer side of a tile in pixels
_MOST_TILES = 64
_MARGIN = 12
_LABEL = 24  # height of the line of text under a tile
_TYPE_SIZE = 14
_PAPER, _INK, _FAINT = "#ffffff", "#1f2328", "#6e7781"
_SHOWN = 99.5  # percentile of the absolute values that becomes black or white: a few extremes must not dim the rest


@dataclass(frozen=True)
class Tile:
    """Something to show: `planes` is C x H x W. Three planes are red, green and blue; others are averaged."""

    label: str
    planes: np.ndarray


def response_tiles(response: np.ndarray, labels: tuple[str, ...], groups: int, colours: bool) -> list[Tile]:
    """The tiles of a response (groups*F) x H x W, where `labels` names the F filters of a group.

    With `colours` the three groups are red, green and blue, and there is one tile per filter, else one per plane.
    """
    count = len(labels)
    if colours:
        return [Tile(label, response[index::count]) for index, label in enumerate(labels)]
    return [
        Tile(f"group {index // count + 1}, {labels[index % count]}" if groups > 1 else labels[index], plane[None])
        for index, plane in enumerate(response)
    ]


def draw_sheet(file: BinaryIO, original: Tile, responses: list[Tile], white: float) -> None:
    """Writes the sheet as PNG: the original first, then the responses, row by row; `white` is full scale."""
    Image = pillow()
    from PIL import ImageDraw, ImageFont

    shown = responses[: _MOST_TILES - 1]
    label = original.label if shown == responses else f"{original.label}: {len(shown)} of {len(responses)} responses"
    tiles = [Tile(label, original.planes), *shown]
    pictures = [_picture(tile.planes, white) for tile in tiles]
    wide = max(picture.width for picture, _ in pictures)
    high = max(picture.height for picture, _ in pictures)
    columns = _columns(len(tiles), (high + _LABEL) / wide)
    rows = math.ceil(len(tiles) / columns)
    mode = "RGB" if any(picture.mode == "RGB" for picture, _ in pictures) else "L"
    size = (columns * (wide + _MARGIN) + _MARGIN, rows * (high + _LABEL + _MARGIN) + _MARGIN)
    sheet = Image.new(mode, size, _PAPER)
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(_TYPE_SIZE)
    for index, (tile, (picture, scale)) in enumerate(zip(tiles, pictures, strict=True)):
        left = _MARGIN + index % columns * (wide + _MARGIN)
        top = _MARGIN + index // columns * (high + _LABEL + _MARGIN)
        sheet.paste(picture, (left, top))
        line = top + picture.height + _LABEL // 2
        room = wide - draw.textlength(scale + "  ", font=font)
        draw.text((left, line), _fitting(draw, font, tile.label, room), fill=_INK, font=font, anchor="lm")
        draw.text((left + wide, line), scale, fill=_FAINT, font=font, anchor="rm")
    sheet.save(file, format="PNG", compress_level=4)  # the default, 6, takes half as long again for 2 % less


def _columns(count: int, cell_shape: float) -> int:
    """How many columns make a sheet of about 4:3 with few empty cells; `cell_shape` is height over width."""
    best = max(1, round(math.sqrt(count * cell_shape * 4 / 3)))
    near = [each for each in (best, best - 1, best + 1) if 1 <= each <= count] or [count]
    return min(near, key=lambda columns: -count % columns)


def _picture(planes: np.ndarray, white: float) -> tuple[Any, str]:
    """The picture of one tile and the text that states its scale."""
    if len(planes) != 3:
        planes = planes.mean(axis=0, keepdims=True, dtype=np.float64)
    small = np.stack([_resized(np.asarray(plane, dtype=np.float32)) for plane in planes])
    finite = small[np.isfinite(small)]
    if finite.min(initial=0) < 0:
        low = -float(np.percentile(np.abs(finite), _SHOWN)) or -1.0
        high = -low
        scale = f"±{_number(high)}"
    else:
        low, high = 0.0, max(white, float(finite.max(initial=0)))
        scale = f"0 to {_number(high)}"
    small = np.nan_to_num(small, nan=low, posinf=high, neginf=low)
    shades = np.rint((small.clip(low, high) - low) * (255 / (high - low))).astype(np.uint8)
    return pillow().fromarray(shades[0] if len(shades) == 1 else shades.transpose(1, 2, 0)), scale


def _number(value: float) -> str:
    return f"{value:.0f}" if 100 <= value < 1e6 else f"{value:.3g}"


def _resized(plane: np.ndarray) -> np.ndarray:
    """The plane in the size of a tile: averaged down, or its pixels repeated a whole number of times."""
    height, width = plane.shape
    longer = max(height, width)
    if longer <= _TILE:
        return plane.repeat(_TILE // longer, axis=0).repeat(_TILE // longer, axis=1)
    size = (max(1, round(width * _TILE / longer)), max(1, round(height * _TILE / longer)))
    Image = pillow()
    return np.asarray(Image.fromarray(plane).resize(size, Image.Resampling.BOX))


def _fitting(draw: Any, font: Any, text: str, room: float) -> str:
    """The text on one line, shortened to `room` pixels if it is longer."""
    text = "".join(letter if letter.isprintable() else "?" for letter in text)
    if draw.textlength(text, font=font) <= room:
        return text
    while text and draw.textlength(text + "…", font=font) > room:
        text = text[:-1]
    return text + "…"
