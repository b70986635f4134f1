"""Runs compilers and build tools for the packaging tests, and shows what they said when they fail.

It must not know what is being built.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def tool(name):
    """A program on the path, or beside this Python, where the extra `test` puts those that a machine may lack."""
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), str(Path(sys.executable).parent)])
    found = shutil.which(name, path=path)
    assert found, f"{name} is not installed; pip install 'cgconv[test]' brings it"
    return found


def run(*command, cwd=None, **variables):
    """Runs a command, with these environment variables set, and returns its output; a failure shows all of it."""
    command = [str(part) for part in command]
    environment = {**os.environ, **{name: str(value) for name, value in variables.items()}}
    result = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=cwd, env=environment
    )
    assert result.returncode == 0, f"{' '.join(command)} gave status {result.returncode}:\n{result.stdout}"
    return result.stdout


def cmake(source, build, *settings):
    """Configures and builds a CMake project."""
    generator = ["-G", "Ninja", f"-DCMAKE_MAKE_PROGRAM={tool('ninja')}"]
    run(tool("cmake"), "-S", source, "-B", build, *generator, *settings)
    run(tool("cmake"), "--build", build, "--parallel", "2")


def symbols(file, *options):
    """The names that a library defines for others."""
    lines = run("nm", "--defined-only", *options, file).splitlines()
    return {fields[-1] for fields in map(str.split, lines) if len(fields) == 3}
