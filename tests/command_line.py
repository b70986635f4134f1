"""What the tests of the command line share: running a command in a folder, and small files to give it.

It must not know any test.
"""

import io

import numpy as np
from PIL import Image

import cgconv
from cgconv import bank
from cgconv.cli import main


def runner(folder, monkeypatch, capsys):
    """A function that runs a command in the folder; it gives the exit status, stdout and stderr."""
    monkeypatch.chdir(folder)

    def run(*arguments):
        status = main([str(each) for each in arguments])
        return status, *capsys.readouterr()

    return run


def colours(height=20, width=30, seed=0):
    return np.random.default_rng(seed).integers(0, 256, size=(height, width, 3), dtype=np.uint8)


def save_image(path, array=None, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(colours() if array is None else array).save(path, **options)


def identity(path, channels):
    """Saves a layer whose result is its input."""
    weights, bias = np.ones((1, 1, 1, 1, channels)), np.zeros((1, 1, 1, channels))
    cgconv.GroupedConvolution2DLayer(1, 1, channels, weights=weights, bias=bias).save(path)


def edges_of(x, data_format="SSC"):
    """What the library itself answers."""
    return bank.filter_bank("edges", x.shape[data_format.index("C")], data_format=data_format)(x)


def files(folder):
    return sorted(each.name for each in folder.iterdir())


class Terminal(io.StringIO):
    """A stream that looks like a terminal."""

    def isatty(self):
        return True
