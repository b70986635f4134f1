"""The command `cgconv apply`: from its options to a list of jobs, and from what was done to the last line.

It knows what LAYER, INPUT and --out mean and which files may be replaced; it must not know how the work is done.
"""
from __future__ import annotations

import time
import warnings
from argparse import Namespace
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path

from .. import bank, get_num_threads, load_layer
from .batch import Batch, Done, Job, Operator
from .images import Source, find_sources, pillow, refuse_huge_images, require_extra
from .outputs import OutputNames
from .progress import Progress
from .usage import UsageError

__all__ = ["apply"]


def apply(options: Namespace) -> int:
    """Runs the command; 0 if every input was used, 1 if some were refused."""
    if not options.inputs and not options.sample:
        raise UsageError("there is neither an INPUT nor --sample; see cgconv apply --help")
    operator = _operator(options.layer)
    folder = _output_folder(options.out, options.inputs)
    suffixes = ("png", "npy") if options.save == "both" else (options.save,)
    progress = Progress(options.quiet)
    with warnings.catch_warnings():
        refuse_huge_images()
        sources = list(find_sources(options.inputs, options.sample, progress.refuse))
        require_extra(sources)
        if "png" in suffixes:
            pillow()
        names = OutputNames(folder, operator.name)
        jobs = list(_jobs(sources, names, suffixes, options.overwrite, progress.refuse))
        progress.start(len(jobs))
        batch = Batch(operator, options.format, options.threads or get_num_threads(), progress)
        start = time.perf_counter()
        try:
            done = batch.run(jobs)
        finally:
            progress.close()
        seconds = time.perf_counter() - start
    if not options.quiet:
        print(_last_line(done, progress.refused, seconds))
    return 1 if progress.refused else 0


def _operator(text: str) -> Operator:
    """The layer that LAYER names: a bank, or the file of a saved layer."""
    if text in bank.names():
        return Operator(text, bank.filter_labels(text), lru_cache(lambda channels: bank.filter_bank(text, channels)))
    if not Path(text).exists():
        raise UsageError(f"LAYER {text!r} is neither a file nor one of {', '.join(bank.names())}")
    try:
        layer = load_layer(text)
    except (OSError, ValueError, TypeError, ImportError) as error:
        raise UsageError(f"LAYER {text!r} cannot be loaded: {error}") from error
    if layer.weights is None or layer.bias is None:
        raise UsageError(f"LAYER {text!r} was saved before it was initialised: it lacks weights or bias")
    labels = tuple(f"filter {number + 1}" for number in range(layer.num_filters_per_group))
    return Operator(Path(text).stem, labels, lambda channels: layer)


def _output_folder(out: str, inputs: Iterable[str]) -> Path:
    folder = Path(out)
    if any(Path(text).is_dir() and Path(text).resolve() == folder.resolve() for text in inputs):
        raise UsageError(f"--out {out} is also an input: the results of this run would be inputs of the next")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"--out {out} cannot be a folder: {error.strerror}") from error
    return folder


def _jobs(
    sources: list[Source],
    names: OutputNames,
    suffixes: tuple[str, ...],
    overwrite: bool,
    refuse: Callable[[str, str], None],
) -> Iterator[Job]:
    """The sources with their targets, but for those that would replace what they must not."""
    inputs = {source.path.resolve() for source in sources if source.path is not None}
    for source in sources:
        targets = names.targets(source.stem, suffixes)
        existing = [path for path in targets.values() if path.exists()]
        if any(path.resolve() in inputs for path in existing):
            refuse(source.shown, f"its result would replace {existing[0]}, which is an input too")
        elif existing and not overwrite:
            refuse(source.shown, f"{existing[0]} exists; --overwrite replaces it")
        else:
            yield Job(source, targets)


def _last_line(done: Sequence[Done], refused: int, seconds: float) -> str:
    """What cli.py explains to the user. Nothing is claimed of no images, or of a clock too coarse."""
    line = f"{len(done)} done, {refused} refused"
    images = sum(each.images for each in done)
    processor_seconds = sum(each.seconds for each in done)
    if images and processor_seconds:
        speed = sum(each.operations for each in done) / processor_seconds / 1e9
        line += f"; {_short(images / seconds)} images/s; the convolution alone {_short(speed)} GFLOP/s a thread"
    return line


def _short(value: float) -> str:
    return f"{value:.3g}" if value < 100 else f"{value:.0f}"
