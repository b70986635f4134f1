"""The wheel carries all that Python, C and Cython users need, and is found from every folder, the clone's root too.

These tests must not know what the package computes, only what is in it.
"""

import re
import sys
import sysconfig
import venv
import zipfile
from importlib import metadata

import cgconv
import pytest
from building import ROOT, run, symbols

VERSION = re.search(r'CGCONV_VERSION "(.+)"', (ROOT / "src/c/include/cgconv.h").read_text())[1]
EXTENSION = f"cgconv/_core{sysconfig.get_config_var('EXT_SUFFIX')}"
C_FILES = {
    "cgconv/__init__.pxd",
    "cgconv/include/cgconv.h",
    "cgconv/lib/libcgconv.a",
    "cgconv/lib/pkgconfig/cgconv.pc",
    "cgconv/lib/cmake/cgconv/cgconvConfig.cmake",
    "cgconv/lib/cmake/cgconv/cgconvConfigVersion.cmake",
    "cgconv/lib/cmake/cgconv/cgconvTargets.cmake",
    "cgconv/lib/cmake/cgconv/cgconvTargets-release.cmake",
}
BUILD = """
import sys
from scikit_build_core import build
kind, folder, build_folder = sys.argv[1:]
getattr(build, kind)(folder, {"build-dir": build_folder})
"""


@pytest.fixture(scope="session")
def wheels(tmp_path_factory):
    """What pip makes of the clone for `pip install .` and for `pip install -e .`, from one compilation."""
    folder = tmp_path_factory.mktemp("wheels")
    for kind in ("build_wheel", "build_editable"):
        (folder / kind).mkdir()
        run(sys.executable, "-c", BUILD, kind, folder / kind, folder / "build", cwd=ROOT)
    return {kind: next((folder / f"build_{kind}").glob("*.whl")) for kind in ("wheel", "editable")}


@pytest.fixture(scope="session", params=["wheel", "editable"])
def python(request, wheels, tmp_path_factory):
    """A Python that has one of the two, and the other packages of this Python."""
    folder = tmp_path_factory.mktemp(request.param)
    venv.create(folder, symlinks=True)
    site = next(folder.glob("lib/python*/site-packages"))
    with zipfile.ZipFile(wheels[request.param]) as wheel:
        wheel.extractall(site)
    # Folders that are named in a .pth file come last, and their own .pth files are not read: the cgconv that is
    # installed in this Python, editable or not, stays out of sight.
    others = [folder for folder in sys.path if folder.endswith("-packages")]
    (site / "others.pth").write_text("\n".join(others))
    return folder / "bin/python"  # to be run with -E, so that PYTHONPATH adds nothing


def test_the_wheel_carries_the_python_package_and_what_c_and_cython_need(wheels):
    sources = [file for file in (ROOT / "cgconv").rglob("*") if file.is_file() and "__pycache__" not in file.parts]
    modules = {str(file.relative_to(ROOT)) for file in sources}
    assert {"cgconv/__init__.py", "cgconv/py.typed"} <= modules
    files = set(zipfile.ZipFile(wheels["wheel"]).namelist())
    package = {name for name in files if name.startswith("cgconv/")}
    assert package == modules | C_FILES | {EXTENSION}
    assert {name.split("/")[0] for name in files - package} == {f"cgconv-{VERSION}.dist-info"}
    assert f"cgconv-{VERSION}.dist-info/licenses/LICENSE" in files


def test_the_version_stands_in_one_place(wheels):
    assert re.fullmatch(r"\d+\.\d+\.\d+", VERSION)
    assert metadata.version("cgconv") == VERSION
    assert cgconv.__version__ == VERSION
    assert all(wheel.name.startswith(f"cgconv-{VERSION}-") for wheel in wheels.values())
    assert re.search(rf"^## {re.escape(VERSION)}\b", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)


def test_numpy_is_the_only_requirement_and_the_licence_is_named(wheels):
    with zipfile.ZipFile(wheels["wheel"]) as wheel:
        lines = wheel.read(f"cgconv-{VERSION}.dist-info/METADATA").decode().splitlines()
    required = [line for line in lines if line.startswith("Requires-Dist:") and "extra ==" not in line]
    assert [re.match(r"Requires-Dist: ([\w-]+)", line)[1] for line in required] == ["numpy"]
    assert "License-Expression: BSD-3-Clause" in lines
    assert "Requires-Python: >=3.11" in lines


def test_the_extension_exports_its_init_function_only(wheels, tmp_path):
    with zipfile.ZipFile(wheels["wheel"]) as wheel:
        assert symbols(wheel.extract(EXTENSION, tmp_path), "--dynamic") == {"PyInit__core"}


@pytest.mark.parametrize("folder", [ROOT, ROOT.parent], ids=["the clone's root", "elsewhere"])
def test_the_installed_package_is_imported_in(folder, python):
    # In the clone's root the source folder cgconv/, which has no compiled module, comes before the installed package.
    script = "import cgconv; print(cgconv._core.__file__, cgconv.get_include(), cgconv.get_cmake_dir(), sep='\\n')"
    site = next(python.parent.parent.glob("lib/python*/site-packages"))
    core, include, cmake_dir = run(python, "-E", "-c", script, cwd=folder).splitlines()
    assert core == str(site / EXTENSION)
    assert include == str(site / "cgconv/include")
    assert cmake_dir == str(site / "cgconv/lib/cmake/cgconv")


def test_pytest_and_the_command_run_in_the_root_of_the_clone(python):
    options = ["--collect-only", "--quiet", "-p", "no:cacheprovider"]
    collected = run(python, "-E", "-m", "pytest", *options, __file__, cwd=ROOT)
    assert "test_the_version_stands_in_one_place" in collected
    assert VERSION in run(python, "-E", "-m", "cgconv", "info", cwd=ROOT)
