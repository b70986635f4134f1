"""Runs a layer over a list of inputs, several at a time: one worker takes each from its file to its results.

It knows the order of the work, what a failure means for the rest, and the clock; it must not know options, file
formats or how a sheet is drawn.

Many pictures keep the processors busy best side by side, on one thread each. Only large responses are computed and
written one after the other, by all the threads. So memory is bounded however long the list is: for each worker a
picture and a response of less than _LARGE bytes, and one large response for all.
"""
from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import BinaryIO, NamedTuple

import numpy as np

from .. import GroupedConvolution2DLayer, Plan
from ..storage import whole_file
from .images import Picture, Refused, Source
from .progress import Progress
from .sheet import Tile, draw_sheet, response_tiles

__all__ = ["Batch", "Done", "Job", "Operator"]

_LARGE = 128 << 20


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


class Done(NamedTuple):
    """What a job came to; `seconds` is processor time of the convolution, summed over its threads."""

    images: int
    operations: int
    seconds: float


@dataclass(frozen=True)
class Batch:
    """How to do any list of jobs."""

    operator: Operator
    array_format: str | None
    threads: int
    progress: Progress

    def run(self, jobs: Sequence[Job]) -> list[Done]:
        """Does every job. Those that fail are told to the progress; an interruption drops those not begun."""
        workers = max(1, min(self.threads, len(jobs)))
        done: list[Done] = []
        running: dict[Future[Done | str], Job] = {}
        with ThreadPoolExecutor(1) as alone, ThreadPoolExecutor(workers) as pool:
            try:
                for job in jobs:
                    if len(running) == 2 * workers:  # each has a job, and another to go on with
                        done += self._finished(running)
                    running[pool.submit(self._do, job, self.threads // workers, alone)] = job
                while running:
                    done += self._finished(running)
            finally:
                for each in (pool, alone):  # files that are being written are completed
                    each.shutdown(wait=False, cancel_futures=True)
        return done

    def _finished(self, running: dict[Future[Done | str], Job]) -> Iterator[Done]:
        """Waits for a job to finish. Takes those that have from the running ones, and gives those that were done."""
        wait(running, return_when=FIRST_COMPLETED)
        for future in [each for each in running if each.done()]:
            job, outcome = running.pop(future), future.result()
            if isinstance(outcome, Done):
                yield outcome
            else:
                self.progress.refuse(job.source.shown, outcome)
            self.progress.step()

    def _do(self, job: Job, threads: int, alone: ThreadPoolExecutor) -> Done | str:
        """Does a job, or says why it cannot be done: an exception, kept until it is told, would keep the pixels."""
        try:
            picture = job.source.read(self.array_format)
            channels = picture.array.shape[picture.format.index("C")]
            layer = self.operator.layer_for(channels)
            assert layer.weights is not None  # what makes an operator sees to it
            depth, filters, groups = layer.weights.shape[2:]
            if channels != depth * groups:
                raise Refused(f"channels={channels}; the layer takes {depth * groups}")
            if picture.array.size // depth * filters * layer.dtype.itemsize < _LARGE:
                return self._make(job, picture, layer, threads)
            return alone.submit(self._make, job, picture, layer, self.threads).result()
        except (Refused, ValueError, MemoryError) as error:
            return _reason(error)

    def _make(self, job: Job, picture: Picture, layer: GroupedConvolution2DLayer, threads: int) -> Done:
        response, done = _convolve(picture, layer, threads)
        try:
            for suffix, path in job.targets.items():
                with whole_file(path) as file:
                    if suffix == "npy":
                        # What is a file to NumPy gets the cells of such an array one by one; this gets blocks.
                        np.save(SimpleNamespace(write=file.write), response)
                    else:
                        self._draw(file, job.source.title, picture, response)
        except (OSError, MemoryError) as error:
            raise Refused(f"the result cannot be written: {_reason(error)}") from error
        return done

    def _draw(self, file: BinaryIO, title: str, picture: Picture, response: np.ndarray) -> None:
        original, planes = (_first_image(array, picture.format) for array in (picture.array, response))
        groups = len(planes) // len(self.operator.labels)
        tiles = response_tiles(planes, self.operator.labels, groups, colours=groups == len(original) == 3)
        draw_sheet(file, Tile(title, original), tiles, picture.white)


def _convolve(picture: Picture, layer: GroupedConvolution2DLayer, threads: int) -> tuple[np.ndarray, Done]:
    weights, bias = layer.weights, layer.bias
    assert weights is not None and bias is not None  # what makes an operator sees to it
    height, width, depth, filters, groups = weights.shape
    x = picture.array.astype(layer.dtype, copy=False)
    plan = Plan(
        x.shape,
        (groups * filters, depth, height, width),
        stride=layer.stride,
        padding="same" if layer.padding_mode == "same" else layer.padding_size,
        dilation=layer.dilation_factor,
        groups=groups,
        padding_value=layer.padding_value,
        layout=picture.format,
        dtype=layer.dtype,
        threads=threads,
        x_strides=x.strides,
    )
    weight = weights.transpose(4, 3, 2, 0, 1).reshape(plan.weight_shape)
    bias = bias.transpose(3, 2, 0, 1).reshape(-1)
    # Processor time: the clock would count what other workers do meanwhile. All threads work as long as this one.
    start = time.thread_time()
    response: np.ndarray = plan.forward(x, weight, bias)
    seconds = (time.thread_time() - start) * plan.passes["forward"].threads
    images = math.prod(extent for extent, axis in zip(x.shape, picture.format, strict=True) if axis not in "SC")
    return response, Done(images, 2 * height * width * depth * response.size, seconds)


def _first_image(array: np.ndarray, format: str) -> np.ndarray:
    """The first image of an array, as channels x height x width."""
    image = array[tuple(slice(None) if axis in "SC" else 0 for axis in format)]
    return np.moveaxis(image, [axis for axis in format if axis in "SC"].index("C"), 0)


def _reason(error: Exception) -> str:
    return str(error) or "too large for the memory"  # a bare MemoryError
