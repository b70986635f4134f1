"""`python -m cgconv`, the same as the command `cgconv`. It must not know more: the rest is in cli.py."""

import sys

from .cli import main

sys.exit(main())
