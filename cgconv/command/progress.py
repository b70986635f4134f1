"""What a long command tells the user while it works: a progress bar, and a line for each input that it refuses.

It writes to the standard error stream only, and must not know what the work is. The bar is tqdm's where tqdm is
installed; without it, and where the stream is not a terminal, there is none.
"""
from __future__ import annotations

import sys
from typing import Any

__all__ = ["Progress"]


class Progress:
    """A bar over a number of inputs, and the count of those refused."""

    def __init__(self, quiet: bool) -> None:
        self.refused = 0
        self._quiet = quiet
        self._bar: Any = None

    def start(self, total: int) -> None:
        """Shows the bar."""
        try:
            from tqdm import tqdm
        except ImportError:
            return
        hidden = True if self._quiet else None  # None hides it where there is no terminal
        self._bar = tqdm(total=total, unit="file", disable=hidden, file=sys.stderr, leave=False)

    def step(self) -> None:
        """One more input is dealt with."""
        if self._bar is not None:
            self._bar.update()

    def refuse(self, shown: str, reason: str) -> None:
        """Says why an input is not used, also when quiet."""
        self.refused += 1
        text = f"cgconv: {shown}: {reason}"
        line = "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)
        if self._bar is None:
            print(line, file=sys.stderr)
        else:
            self._bar.write(line, file=sys.stderr)

    def close(self) -> None:
        """Takes the bar away."""
        if self._bar is not None:
            self._bar.close()
