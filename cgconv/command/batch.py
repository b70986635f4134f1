"""Runs a layer over a list of inputs: reads ahead, convolves in the calling thread, writes behind.

It knows the order of the work, what a failure means for the rest, and the clock; it must not know options, file
formats or how a sheet is drawn.

Reading and writing run in a few threads beside the convolution, so that a long list keeps all of them busy. Each
waits for the others after a few images: memory stays bounded however long the list is.
"""
from __future__ import annotations

import math
import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from .. import GroupedConvolution2DLayer, conv2d
from ..storage import whole_file
from .images import Picture, Refused, Source
from .progress import Progress
from .sheet import Tile, draw_sheet, response_tiles

__all__ = ["Batch", "Job", "Operator", "Tally"]

_WORKERS = min(8, os.cpu_count() or 1)
_AHEAD = 2  # pictures that are read before their turn
_WAITING_BYTES = 256 << 20  # what the responses that wait to be written may hold, unless there is only one


@dataclass(frozen=True)
class Operator:
    """The layer to apply, given the number of channels, what to call it, and what to call the filters of a group."""

    name: str
    labels: tuple[str, ...]
    layer_for: Callable[[int], GroupedConvolution2DLayer]


@dataclass(frozen=True)
class Job:
    """An input, and the files to make of it by suffix."""

    source: Source
    targets: dict[str, Path]


@dataclass
class Tally:
    """What has been done; `seconds` were spent inside the convolution."""

    files: int = 0
    images: int = 0
    operations: int = 0
    seconds: float = 0.0


class _Input(NamedTuple):
    """A picture that has been read, the layer for it, and the pixels and the parameters as `conv2d` takes them."""

    picture: Picture
    layer: GroupedConvolution2DLayer
    x: np.ndarray
    weight: np.ndarray
    bias: np.ndarray
    groups: int


class Batch:
    """One pass over a list of jobs."""

    def __init__(self, operator: Operator, array_format: str | None, threads: int | None, progress: Progress) -> None:
        self.tally = Tally()
        self._operator = operator
        self._array_format = array_format
        self._threads = threads
        self._progress = progress
        self._pool = ThreadPoolExecutor(_WORKERS)
        self._writing: deque[tuple[Job, np.ndarray, Future[int]]] = deque()

    def run(self, jobs: Iterable[Job]) -> None:
        """Does every job. Those that fail are told to the progress; an interruption drops those not begun."""
        try:
            for job, reading in self._read_ahead(jobs):
                try:
                    item = reading.result()
                    response = self._convolve(item)
                except (Refused, ValueError, MemoryError) as error:
                    self._fail(job, str(error) or "too large for the memory")
                    continue
                self._make_room(response.nbytes)
                self._writing.append((job, response, self._pool.submit(self._write, job, item, response)))
            while self._writing:
                self._finish_oldest()
        finally:
            self._pool.shutdown(cancel_futures=True)  # files that are being written are completed

    def _read_ahead(self, jobs: Iterable[Job]) -> Iterator[tuple[Job, Future[_Input]]]:
        """The jobs in their order, with a few more being read."""
        reading: deque[tuple[Job, Future[_Input]]] = deque()
        for job in jobs:
            reading.append((job, self._pool.submit(self._read, job)))
            if len(reading) > _AHEAD:
                yield reading.popleft()
        while reading:
            yield reading.popleft()

    def _read(self, job: Job) -> _Input:
        picture = job.source.read(self._array_format)
        channels = picture.array.shape[picture.format.index("C")]
        layer = self._operator.layer_for(channels)
        weights, bias = layer.weights, layer.bias
        assert weights is not None and bias is not None  # what makes an operator sees to it
        height, width, depth, filters, groups = weights.shape
        if channels != depth * groups:
            raise Refused(f"channels={channels}; the layer takes {depth * groups}")
        return _Input(
            picture,
            layer,
            picture.array.astype(layer.dtype, copy=False),
            weights.transpose(4, 3, 2, 0, 1).reshape(groups * filters, depth, height, width),
            bias.transpose(3, 2, 0, 1).reshape(groups * filters),
            groups,
        )

    def _convolve(self, item: _Input) -> np.ndarray:
        layer = item.layer
        start = time.perf_counter()
        response: np.ndarray = conv2d(
            item.x,
            item.weight,
            item.bias,
            stride=layer.stride,
            padding="same" if layer.padding_mode == "same" else layer.padding_size,
            dilation=layer.dilation_factor,
            groups=item.groups,
            padding_value=layer.padding_value,
            layout=item.picture.format,
            threads=self._threads,
        )
        self.tally.seconds += time.perf_counter() - start
        self.tally.operations += 2 * math.prod(item.weight.shape[1:]) * response.size
        return response

    def _make_room(self, nbytes: int) -> None:
        """Waits until a response of this size may join those that are being written."""
        while self._writing and (
            len(self._writing) > _WORKERS
            or nbytes + sum(response.nbytes for _, response, _ in self._writing) > _WAITING_BYTES
        ):
            self._finish_oldest()

    def _write(self, job: Job, item: _Input, response: np.ndarray) -> int:
        """Writes the files of a job, and counts its images."""
        picture = item.picture
        for suffix, path in job.targets.items():
            with whole_file(path) as file:
                if suffix == "npy":
                    np.save(file, response)
                    continue
                planes = _first_image(response, picture.format)
                colours = item.groups == 3 and item.weight.shape[1] == 1
                tiles = response_tiles(planes, self._operator.labels, item.groups, colours)
                original = Tile(job.source.title, _first_image(picture.array, picture.format))
                draw_sheet(file, original, tiles, picture.white)
        extents = zip(response.shape, picture.format, strict=True)
        return math.prod(extent for extent, axis in extents if axis not in "SC")

    def _finish_oldest(self) -> None:
        job, _, writing = self._writing.popleft()
        try:
            self.tally.images += writing.result()
        except (OSError, MemoryError) as error:
            self._fail(job, f"the result cannot be written: {error}")
            return
        self.tally.files += 1
        self._progress.step()

    def _fail(self, job: Job, reason: str) -> None:
        self._progress.refuse(job.source.shown, reason)
        self._progress.step()


def _first_image(array: np.ndarray, format: str) -> np.ndarray:
    """The first image of an array, as channels x height x width."""
    image = array[tuple(slice(None) if axis in "SC" else 0 for axis in format)]
    return np.moveaxis(image, [axis for axis in format if axis in "SC"].index("C"), 0)
