"""Runs compilers and build tools for the packaging tests, and shows what they said when they fail.

It must not know what is being built.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def find_tool(*names):
    """The first of the programs that is on the path, or beside this Python; None if there is none."""
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), str(Path(sys.executable).parent)])
    return next(filter(None, (shutil.which(name, path=path) for name in names)), None)


def run(*command, **options):
    """Runs a command and returns its output; a failure shows all that it printed."""
    command = [str(part) for part in command]
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options)
    assert result.returncode == 0, f"{' '.join(command)} gave status {result.returncode}:\n{result.stdout}"
    return result.stdout


def cmake(source, build, *settings):
    """Configures and builds a CMake project."""
    tool = find_tool("cmake")
    run(tool, "-S", source, "-B", build, *settings)
    run(tool, "--build", build, "--parallel", "2")


def symbols(file, *options):
    """The names that a library defines for others."""
    lines = run("nm", "--defined-only", *options, file).splitlines()
    return {fields[-1] for fields in map(str.split, lines) if len(fields) == 3}
