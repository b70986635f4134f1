"""The library around the convolutions: threads, what it says of itself, its C files, its names, and its import."""

import doctest
import importlib
import inspect
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import cgconv

PACKAGE = Path(cgconv.config.__file__).parent
SOURCE = Path(__file__).parent.parent / "cgconv"


def run(*arguments, folder, **variables):
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("CGCONV_", "OMP_"))}
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={**environment, **variables},
        text=True,
        capture_output=True,
        timeout=300,
    )
    return done.stdout.strip(), done.stderr.strip()


# ---- threads -----------------------------------------------------------------------------------------------


def test_the_number_of_threads_is_what_was_set(restored_num_threads):
    default = cgconv.get_num_threads()
    cgconv.set_num_threads(3)
    assert cgconv.get_num_threads() == 3
    cgconv.set_num_threads(np.int64(2))
    assert cgconv.get_num_threads() == 2
    cgconv.set_num_threads(None)
    assert cgconv.get_num_threads() == default or "CGCONV_NUM_THREADS" in os.environ


@pytest.mark.parametrize(
    "n, kind, words",
    [
        (0, ValueError, "n=0: must be a positive int, or None for the default"),
        (-2, ValueError, "n=-2: must be"),
        (1.0, TypeError, "n=1.0: must be"),
        (True, TypeError, "n=True: must be"),
        ("2", TypeError, "n='2': must be"),
        (2**40, ValueError, "n=1099511627776 is too large"),
    ],
)
def test_a_bad_number_of_threads_is_refused_and_changes_nothing(n, kind, words, restored_num_threads):
    cgconv.set_num_threads(2)
    with pytest.raises(kind, match=re.escape(words)):
        cgconv.set_num_threads(n)
    assert cgconv.get_num_threads() == 2


@pytest.mark.parametrize(
    "variables, threads",
    [
        ({"CGCONV_NUM_THREADS": "3"}, "3"),
        ({"OMP_NUM_THREADS": "2"}, "2"),
        ({"CGCONV_NUM_THREADS": "3", "OMP_NUM_THREADS": "2"}, "3"),
    ],
)
def test_variables_set_the_number_of_threads(variables, threads, tmp_path):
    if cgconv.show_config("dicts")["threading"] == "serial":
        threads = "1"
    out, _ = run("-c", "import cgconv; print(cgconv.get_num_threads())", folder=tmp_path, **variables)
    assert out == threads


# ---- the library -------------------------------------------------------------------------------------------


def test_the_configuration_names_what_is_in_use(capsys):
    facts = cgconv.show_config("dicts")
    assert set(facts) == {"version", "isa", "isa_alternatives", "reproducible", "threading", "num_threads", "cuda"}
    assert facts["version"] == cgconv.__version__ and facts["isa"] in facts["isa_alternatives"]
    assert facts["isa_alternatives"] == cgconv.isa_alternatives()
    assert cgconv.show_config() is None
    printed = capsys.readouterr().out
    assert f"cgconv {facts['version']}" in printed and f"instruction set: {facts['isa']}" in printed
    assert f"threads: {facts['num_threads']} ({facts['threading']})" in printed and facts["cuda"] in printed
    with pytest.raises(ValueError, match="mode='json': must be 'stdout' or 'dicts'"):
        cgconv.show_config("json")


def test_the_variable_caps_the_instruction_set(tmp_path):
    for isa in cgconv.isa_alternatives():
        out, _ = run(
            "-c", "import cgconv; print(cgconv.show_config('dicts')['isa'])", folder=tmp_path, CGCONV_ISA=isa
        )
        assert out == isa
    _, error = run("-c", "import cgconv; cgconv.conv2d([[[[1]]]], [[[[1]]]])", folder=tmp_path, CGCONV_ISA="mmx")
    assert "ValueError" in error.splitlines()[-1] and "mmx" in error.splitlines()[-1]


def test_the_c_files_are_where_the_package_says():
    assert f'#define CGCONV_VERSION "{cgconv.__version__}"' in Path(cgconv.get_include(), "cgconv.h").read_text()
    assert any(name.suffix in (".a", ".so", ".lib", ".dylib") for name in Path(cgconv.get_library_dir()).iterdir())
    assert Path(cgconv.get_cmake_dir(), "cgconvConfig.cmake").is_file()


def test_a_package_without_c_files_says_so(monkeypatch, tmp_path):
    monkeypatch.setattr(cgconv, "__path__", [str(tmp_path)])
    for ask in (cgconv.get_include, cgconv.get_library_dir, cgconv.get_cmake_dir):
        with pytest.raises(FileNotFoundError, match=re.escape(str(tmp_path))):
            ask()


# ---- importing ---------------------------------------------------------------------------------------------


@pytest.fixture
def clone(tmp_path):
    """A folder with the package's sources and nothing compiled, as the root of a clone."""
    shutil.copytree(
        SOURCE,
        tmp_path / "clone" / "cgconv",
        ignore=lambda _, names: [name for name in names if name.startswith(("_core.c", "__pycache__"))],
    )
    return tmp_path / "clone"


def test_in_a_clone_everything_comes_from_the_installed_package(clone):
    script = (
        "import cgconv, cgconv.layer, cgconv._core; print(cgconv.__file__); print(cgconv.layer.__file__); "
        "print(cgconv._core.__file__); print(cgconv.conv2d([[[[2.0]]]], [[[[3.0]]]]))"
    )
    out, error = run("-c", script, folder=clone)
    assert not error
    source, layer, core, result = out.splitlines()
    assert Path(source).parent in (clone / "cgconv", SOURCE)  # the second if the installation is an editable one
    assert Path(layer) == PACKAGE / "layer.py"
    assert Path(core) == Path(cgconv._core.__file__)
    assert result == "[[[[6.]]]]"


def test_in_a_clone_the_command_runs_too(clone):
    out, error = run("-m", "cgconv", "info", folder=clone)
    assert cgconv.__version__ in out and not error


def test_in_a_clone_without_an_installed_package_the_error_says_what_to_run(clone):
    _, error = run("-S", "-E", "-c", "import cgconv", folder=clone)
    last = error.splitlines()[-1]
    assert last.startswith("ImportError: ") and "no compiled cgconv is installed for this Python" in last
    assert f"python -m pip install {clone}" in last


def test_every_public_name_is_documented_and_typed():
    assert sorted(cgconv.__all__) == cgconv.__all__
    for name in cgconv.__all__:
        thing = getattr(cgconv, name)
        assert inspect.getdoc(thing), name
        if inspect.isclass(thing):
            undocumented = [
                member
                for member, value in vars(thing).items()
                if not member.startswith("_") and not inspect.getdoc(value)
            ]
            assert not undocumented or undocumented == ["num_inputs", "input_names", "num_outputs", "output_names"], (
                name
            )
    assert (PACKAGE / "py.typed").is_file()


MODULES = ("config", "formats", "functional", "initializers", "layer", "optimizers", "plan", "spec", "storage")


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_the_documentation_are_true(name):
    failed, _ = doctest.testmod(importlib.import_module(f"cgconv.{name}"))
    assert not failed


def test_the_main_entry_points_have_examples():
    finder = doctest.DocTestFinder()
    for thing in (
        cgconv.conv2d,
        cgconv.conv2d_backward_input,
        cgconv.conv2d_backward_weight,
        cgconv.pad2d,
        cgconv.Plan,
        cgconv.GroupedConvolution2DLayer,
        cgconv.grouped_convolution2d_layer,
        cgconv.load_layer,
        cgconv.SGDM,
        cgconv.Adam,
    ):
        assert any(test.examples for test in finder.find(thing)), thing
