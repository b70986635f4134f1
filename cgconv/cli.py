"""The command line: `cgconv`, also `python -m cgconv`.

It knows the options and the exit statuses; it must not know how a command does its work.

Exit statuses: 0 all is well; 1 some inputs were refused, and the others are done; 2 the command could not start as it
was given; 130 it was interrupted.
"""
from __future__ import annotations

import argparse
import math
import sys
import textwrap
from collections.abc import Callable, Sequence

from . import __version__, bank, formats, show_config
from .command.apply import apply
from .command.bench import peers
from .command.bench.case import PASSES
from .command.bench.command import bench
from .command.bench.problems import COLUMNS
from .command.images import SAMPLES, MissingExtra
from .command.usage import UsageError

__all__ = ["main"]

_COMMANDS = """\
commands (cgconv COMMAND --help says more):
  info     show the version, the instruction set and the threads in use
  apply    apply a layer or a bank of filters to images
  bench    measure convolutions, beside other libraries if they are installed
"""

_APPLY = """\
Applies a layer to images and writes, for each, a contact sheet (STEM.LAYER.png: the image and the response of each
filter) or the responses as an array (STEM.LAYER.npy), or both.

LAYER is a built-in bank, {banks}, whose filters are applied to each channel by itself, or a file that
GroupedConvolution2DLayer.save has written.

INPUT is an image file, a .npy array, or a folder, of which the images and arrays are taken (not those in its
subfolders). Pixels keep their values: 0 to 255 for 8 bits, 0 to 65535 for 16. The orientation that a camera noted
is applied, what is transparent becomes white, and of an animation the first frame is taken.

An input that cannot be used is refused with a line, and the others go on. No file is replaced without --overwrite,
and none ever appears half-written.

Each thread takes an input from its file to its results; where there are fewer inputs than threads, or a response is
large, several threads share one convolution. The last line counts the inputs done and refused, and the images (an
array may hold many) in a second of the whole run. GFLOP/s a thread is the speed of the convolution alone: two
operations for each weight of each result, over the processor time of its threads.
"""

_BENCH = """\
Measures convolutions: the median time of a call, GFLOP/s, and the fraction of the floor, which is the time that the
machine needs at least, for the arithmetic or to touch each byte once. Peers, other libraries on the same number of
threads, are measured in turn with ours: the ratio is the best peer's time over ours. What a peer computes is compared
with ours first, and ours, bit for bit, with the reference.

PROBLEM is a CSV file of problems, one line of such a file, or words such as "c=32 h=56 w=56 groups=32 k=3 pad=1", in
which k, stride, pad and dilation stand for several columns. Without any, layers of well-known networks are measured.
The columns are
{columns}.

Peers: {peers}. {install} installs all of them.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit status; `argv` is without the program's name."""
    parser = argparse.ArgumentParser(
        prog="cgconv",
        usage="cgconv COMMAND ...",
        description="2-D grouped convolution on CPUs.",
        epilog=_COMMANDS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"cgconv {__version__}")
    parser.add_argument("command", metavar="COMMAND", choices=tuple(_PARSERS), help=argparse.SUPPRESS)
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    try:
        chosen = parser.parse_args(argv)
        # Intermixed, since long lists of files stand last, after the options; argparse's subparsers cannot do this.
        options = _PARSERS[chosen.command]().parse_intermixed_args(chosen.arguments)
    except SystemExit as leaving:  # argparse has said why
        return int(leaving.code or 0)
    run: Callable[[argparse.Namespace], int] = options.run
    try:
        return run(options)
    except (UsageError, MissingExtra) as error:
        print(f"cgconv: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("cgconv: interrupted", file=sys.stderr)
        return 130


def _info_parser() -> argparse.ArgumentParser:
    command = argparse.ArgumentParser(
        prog="cgconv info",
        description="Shows the version, the instruction set, the threads, CUDA, and whether bits are reproducible.",
    )
    command.set_defaults(run=_info)
    return command


def _info(options: argparse.Namespace) -> int:
    show_config()
    return 0


def _apply_parser() -> argparse.ArgumentParser:
    command = argparse.ArgumentParser(
        prog="cgconv apply",
        usage="cgconv apply LAYER [INPUT ...] [--sample [NAME]] --out DIR [options]",
        description=_APPLY.format(banks=", ".join(bank.names())),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("layer", metavar="LAYER", help="a bank, or a saved layer (.npz, .safetensors)")
    command.add_argument("inputs", metavar="INPUT", nargs="*", help="an image, a .npy array or a folder of them")
    command.add_argument("--out", metavar="DIR", required=True, help="folder for the results; made if missing")
    command.add_argument(
        "--sample",
        metavar="NAME",
        nargs="?",
        action="append",
        const="astronaut",
        default=[],
        choices=tuple(SAMPLES),
        help=f"a photograph that comes with scikit-image: {', '.join(SAMPLES)} (default: astronaut)",
    )
    command.add_argument("--save", choices=("png", "npy", "both"), default="png", help="what to write (default: png)")
    command.add_argument(
        "--format",
        type=_format,
        metavar="AXES",
        help="axes of .npy arrays, such as NCHW, HWC or SSCB (default: height, width and any channel)",
    )
    command.add_argument("--threads", type=_positive, metavar="N", help="threads (default: as cgconv info says)")
    command.add_argument("--overwrite", action="store_true", help="replace results that exist")
    command.add_argument("--quiet", action="store_true", help="say nothing but what went wrong")
    command.set_defaults(run=apply)
    return command


def _bench_parser() -> argparse.ArgumentParser:
    command = argparse.ArgumentParser(
        prog="cgconv bench",
        usage="cgconv bench [PROBLEM ...] [--peers NAMES] [options]",
        description=_BENCH.format(
            columns=textwrap.fill(", ".join(COLUMNS), 118), peers=", ".join(peers.KNOWN), install=peers.INSTALL
        ),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = command.add_argument
    add("problems", metavar="PROBLEM", nargs="*", help="a file, a line or words")
    add("--only", metavar="PATTERN", action="append", default=[], help='problems of such a name, like "mbv1-*"')
    add("--peers", type=_peers, metavar="NAMES", help="separated by commas, or none (default: those installed)")
    add("--pass", dest="pass_name", choices=PASSES, default="forward", help="(default: forward)")
    add("--dtype", choices=("float32", "float64"), default="float32", help="(default: float32)")
    add("--layout", choices=("NCHW", "NHWC"), default="NCHW", help="of our arrays; peers have theirs (default: NCHW)")
    add("--plan", action="store_true", help="time a plan that is made once, with an array to write to, not conv2d")
    add("--packed", action="store_true", help="as --plan, with weights that were packed once too")
    add("--threads", type=_positive, metavar="N", default=1, help="threads of everybody (default: 1)")
    add("--rounds", type=_positive, metavar="N", default=5, help="turns of 50 ms for each library (default: 5)")
    add("--peak-gflops", type=_rate, metavar="X", help="limit of the arithmetic (default: measured with NumPy)")
    add("--bandwidth-gbs", type=_rate, metavar="X", help="limit of the memory, GB/s (default: measured with NumPy)")
    add("--csv", metavar="FILE", help="write every time to a CSV file")
    add("--markdown", metavar="FILE", help="write the table to a Markdown file")
    add("--plot", metavar="FILE", help="draw GFLOP/s to a .png, .svg or .pdf file")
    command.set_defaults(run=bench)
    return command


def _peers(text: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(text.split(","))) if text != "none" else ()
    for name in names:
        if name not in peers.KNOWN:
            raise argparse.ArgumentTypeError(f"{name!r} is none of {', '.join(peers.KNOWN)}; or say none")
    return names


def _rate(text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = 0.0
    if not 0 < rate < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive number")
    return rate


def _positive(text: str) -> int:
    number = int(text) if text.isascii() and text.isdigit() else 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive whole number")
    return number


def _format(text: str) -> str:
    try:
        return formats.parse("AXES", text).letters
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


_PARSERS = {"info": _info_parser, "apply": _apply_parser, "bench": _bench_parser}
