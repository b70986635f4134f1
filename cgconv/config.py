"""The library around the convolutions: threads, what it can do on this machine, and where its C files are installed.

It must not know arrays, plans or layers.
"""
from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, overload

from . import _core, spec


def get_num_threads() -> int:
    """The number of threads that a call uses at most if it does not say.

    It is what `set_num_threads` set, else the variable CGCONV_NUM_THREADS, else what OpenMP gives: OMP_NUM_THREADS,
    or the number of processors.
    """
    return _core.get_num_threads()


def set_num_threads(n: int | None) -> None:
    """Sets the number of threads of the process; None goes back to the default.

    Raises ValueError or TypeError if n is not a positive int.
    """
    _core.set_num_threads(spec.threads("n", n))


def isa_alternatives() -> tuple[str, ...]:
    """The names of the instruction sets that this CPU and build can run, best first; CGCONV_ISA does not cap them."""
    names: tuple[str, ...] = _core.library()["isa_alternatives"]
    return names


@overload
def show_config(mode: Literal["stdout"] = ...) -> None: ...
@overload
def show_config(mode: Literal["dicts"]) -> dict[str, Any]: ...
def show_config(mode: Literal["stdout", "dicts"] = "stdout") -> dict[str, Any] | None:
    """Says what this build can do on this machine.

    With mode="stdout" it is printed; with mode="dicts" a dict is returned:

    - version: of the library;
    - isa: the instruction set in use, capped by the variable CGCONV_ISA;
    - isa_alternatives: what this CPU and build can run, best first;
    - reproducible: whether results have the bits of one chain of fused multiply-adds, as they do on every CPU that
      has them, for every algorithm, instruction set and thread count;
    - threading: "openmp" or "serial";
    - num_threads: as `get_num_threads()`;
    - cuda: what the build found of CUDA, in words.
    """
    if mode not in ("stdout", "dicts"):
        raise ValueError(f"mode={spec.shown(mode)}: must be 'stdout' or 'dicts'")
    facts = _core.library()
    facts["num_threads"] = get_num_threads()
    if mode == "dicts":
        return facts
    print(f"cgconv {facts['version']}")
    print(f"instruction set: {facts['isa']} (this CPU can run: {', '.join(facts['isa_alternatives'])})")
    print(f"threads: {facts['num_threads']} ({facts['threading']})")
    print("reproducible bits: " + ("yes" if facts["reproducible"] else "no, this CPU has no fused multiply-add"))
    print(f"cuda: {facts['cuda']}")
    return None


def _installed(folder: str, file: str) -> str:
    """The folder of the installed package that holds this file."""
    from . import __path__ as roots

    for root in roots:
        if Path(root, folder, file).exists():
            return str(Path(root, folder))
    raise FileNotFoundError(f"{folder}/{file} is not in the installed package, in {', '.join(map(str, roots))}")


def get_include() -> str:
    """The folder of cgconv.h, for a compiler's -I."""
    return _installed("include", "cgconv.h")


def get_library_dir() -> str:
    """The folder of the C library, for a linker's -L. Link with -lcgconv."""
    return str(Path(_installed("lib/cmake/cgconv", "cgconvConfig.cmake")).parents[1])


def get_cmake_dir() -> str:
    """The folder of the CMake package, for -Dcgconv_DIR; it defines the target cgconv::cgconv."""
    return _installed("lib/cmake/cgconv", "cgconvConfig.cmake")
