"""The names of the files that `cgconv apply` writes. It must not know what is in them, or where inputs come from."""
from __future__ import annotations

import itertools
from pathlib import Path

__all__ = ["OutputNames"]


class OutputNames:
    """Hands out one name per input, STEM.LAYER, so that results may lie beside each other and beside their inputs."""

    def __init__(self, folder: Path, layer: str) -> None:
        self._folder = folder
        self._layer = layer
        self._taken: set[str] = set()

    def targets(self, stem: str, suffixes: tuple[str, ...]) -> dict[str, Path]:
        """The path for each suffix. A stem that was used before gets a number: photo, photo-2, photo-3."""
        candidates = itertools.chain([stem], (f"{stem}-{number}" for number in itertools.count(2)))
        # Some file systems do not tell upper case from lower.
        name = next(each for each in candidates if each.casefold() not in self._taken)
        self._taken.add(name.casefold())
        return {suffix: self._folder / f"{name}.{self._layer}.{suffix}" for suffix in suffixes}
