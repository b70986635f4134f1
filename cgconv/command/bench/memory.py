"""How much memory a step takes at its peak, as Linux counts it. It must not know what the step does."""
from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["Peak", "peak_growth"]

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


class Peak:
    """Bytes of resident memory above what there was before; None where the system does not say."""

    nbytes: int | None = None


@contextmanager
def peak_growth() -> Iterator[Peak]:
    """Measures what happens inside. Memory that the process had given back, but not to the system, does not count."""
    peak, before = Peak(), None
    try:
        _CLEAR.write_text("5")  # the high-water mark falls to what is resident
        before = _read("VmHWM")
    except OSError:
        pass
    yield peak
    if before is not None:
        peak.nbytes = max(0, _read("VmHWM") - before)


def _read(key: str) -> int:
    for line in _STATUS.read_text().splitlines():
        if line.startswith(key + ":"):
            return int(line.split()[1]) * 1024
    raise OSError(f"no {key} in {_STATUS}")
