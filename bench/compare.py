"""Measures this library beside its peers: `cgconv bench` as a script, for the problem files beside it.

    python bench/compare.py                     # problems.csv
    python bench/compare.py bench/images.csv    # filters over pictures, with reflecting borders

It must not know more: the rest ships in the package.
"""

import sys

from cgconv.cli import main

sys.exit(main(["bench", *sys.argv[1:]]))
