"""Every way to use cgconv from C or Cython builds the example programs and gets the same numbers.

These tests must not know how the library computes, only how it is found, linked and installed.
"""

import re
import shutil
import sys

import cgconv
import numpy as np
import pytest
from building import ROOT, cmake, run, symbols, tool

EXAMPLE = ROOT / "examples/c/separable_block.c"
HEADER = ROOT / "src/c/include/cgconv.h"


@pytest.fixture(scope="session")
def prefix(tmp_path_factory):
    """An installed cgconv, moved to another folder after it was installed, its build folder gone."""
    folder = tmp_path_factory.mktemp("install")
    build, installed, moved = folder / "build", folder / "installed", folder / "moved to/here"
    # lib, also where the distribution says lib64, so that the tests need not ask; Debug, which is soon compiled.
    settings = [f"-DCMAKE_INSTALL_PREFIX={installed}", "-DCMAKE_INSTALL_LIBDIR=lib", "-DCMAKE_BUILD_TYPE=Debug"]
    cmake(ROOT, build, *settings)
    run(tool("cmake"), "--install", build)
    shutil.rmtree(build)
    moved.parent.mkdir()
    installed.rename(moved)
    return moved


def made_up(*shape):
    """The data of the example: multiples of 1/8, so that every sum in it is exact."""
    return ((np.arange(np.prod(shape)) * 37 % 23 - 11) / 8).reshape(shape)


def expected_checksum():
    """The checksum of the example, from its description."""
    x = np.pad(made_up(8, 57, 57), [(0, 0), (1, 1), (1, 1)])
    windows = np.lib.stride_tricks.sliding_window_view(x, (3, 3), axis=(1, 2))[:, ::2, ::2]
    hidden = np.einsum("chwuv,cuv->chw", windows, made_up(8, 3, 3)) + made_up(8)[:, None, None]
    y = np.einsum("chw,oc->ohw", hidden.clip(0, 6), made_up(16, 8)) + made_up(16)[:, None, None]
    return f"{y.sum():.6f}"


def check_example(program, **variables):
    """Runs the built example and checks its output."""
    version = re.search(r'CGCONV_VERSION "(.+)"', HEADER.read_text())[1]
    first, second, last = run(program, **variables).splitlines()
    assert re.fullmatch(r"depthwise: algorithm \S+", first)
    assert re.fullmatch(r"pointwise: algorithm \S+", second)
    assert re.fullmatch(rf"cgconv {re.escape(version)}, \w+: checksum {expected_checksum()}", last)


def linked_with(program):
    """The shared libraries that a program asks for."""
    return set(re.findall(r"NEEDED.*\[(.+)\]", run("readelf", "--dynamic", program)))


def test_the_example_in_c_is_short():
    assert len(EXAMPLE.read_text().splitlines()) < 90


def test_a_project_can_carry_the_sources(tmp_path):
    settings = [f"-DCGCONV_SOURCE_DIR={ROOT}", f"-DCONSUMER={EXAMPLE}", "-DCMAKE_BUILD_TYPE=Debug"]
    cmake(ROOT / "tests/embed/subdirectory", tmp_path, *settings)
    check_example(tmp_path / "consumer")
    assert not list(tmp_path.glob("cgconv/*.so*")), "a library that nobody links was built"


@pytest.mark.parametrize("library", ["static", "shared"])
def test_find_package_gives_the_library_that_is_asked_for(prefix, tmp_path, library):
    settings = [f"-DCMAKE_PREFIX_PATH={prefix}", f"-DLIBRARY={library}", f"-DCONSUMER={EXAMPLE}"]
    cmake(ROOT / "tests/embed/package", tmp_path, *settings)
    check_example(tmp_path / "consumer")
    assert any("libcgconv" in name for name in linked_with(tmp_path / "consumer")) == (library == "shared")


def test_find_package_prefers_the_shared_library(prefix, tmp_path):
    cmake(EXAMPLE.parent, tmp_path, f"-DCMAKE_PREFIX_PATH={prefix}")
    check_example(tmp_path / "separable_block")
    assert any("libcgconv" in name for name in linked_with(tmp_path / "separable_block"))


def test_find_package_heeds_build_shared_libs(prefix, tmp_path):
    cmake(EXAMPLE.parent, tmp_path, f"-DCMAKE_PREFIX_PATH={prefix}", "-DBUILD_SHARED_LIBS=OFF")
    check_example(tmp_path / "separable_block")
    assert not any("libcgconv" in name for name in linked_with(tmp_path / "separable_block"))


def test_find_package_works_on_the_python_package(tmp_path):
    cmake(EXAMPLE.parent, tmp_path, f"-Dcgconv_DIR={cgconv.get_cmake_dir()}")
    check_example(tmp_path / "separable_block")


def test_find_package_says_which_library_is_missing(tmp_path):
    settings = [f"-Dcgconv_DIR={cgconv.get_cmake_dir()}", "-DLIBRARY=shared", f"-DCONSUMER={EXAMPLE}"]
    with pytest.raises(AssertionError, match="shared"):
        cmake(ROOT / "tests/embed/package", tmp_path, *settings)


def compile_with_pkg_config(folder, program, *options):
    """Builds the example with the flags of the cgconv.pc in `folder`."""
    flags = run(tool("pkg-config"), "--cflags", "--libs", *options, "cgconv", PKG_CONFIG_PATH=folder)
    # The shell splits the flags, as it does in everybody's makefile: the path of the prefix has a space in it.
    run("sh", "-c", f"cc -std=c11 '{EXAMPLE}' {flags.strip()} -o '{program}'")


def test_pkg_config_links_the_shared_library(prefix, tmp_path):
    compile_with_pkg_config(prefix / "lib/pkgconfig", tmp_path / "consumer")
    assert any("libcgconv" in name for name in linked_with(tmp_path / "consumer"))
    check_example(tmp_path / "consumer", LD_LIBRARY_PATH=prefix / "lib")


def test_pkg_config_names_all_that_the_static_library_needs(prefix, tmp_path):
    alone = tmp_path / "alone"
    shutil.copytree(prefix, alone, ignore=shutil.ignore_patterns("*.so*"))
    compile_with_pkg_config(alone / "lib/pkgconfig", tmp_path / "consumer", "--static")
    check_example(tmp_path / "consumer")


def test_pkg_config_works_on_the_python_package(tmp_path):
    compile_with_pkg_config(f"{cgconv.get_library_dir()}/pkgconfig", tmp_path / "consumer")
    check_example(tmp_path / "consumer")


def test_a_bare_compiler_gives_a_working_library(tmp_path):
    sources = sorted((ROOT / "src/c").glob("*/*.c"))
    run("cc", "-std=c11", *sources, EXAMPLE, f"-I{HEADER.parent}", "-lm", "-o", tmp_path / "consumer")
    check_example(tmp_path / "consumer")


@pytest.mark.skipif(shutil.which("c++") is None, reason="no C++ compiler is installed")
def test_the_header_is_usable_from_cpp(prefix, tmp_path):
    flags = ["-std=c++11", "-Wall", "-Wextra", "-Wpedantic", "-Werror", f"-I{prefix}/include", f"-L{prefix}/lib"]
    run("c++", *flags, ROOT / "tests/embed/from_cpp.cpp", "-lcgconv", "-o", tmp_path / "consumer")
    run(tmp_path / "consumer", LD_LIBRARY_PATH=prefix / "lib")


def test_a_setuptools_package_cimports_the_declarations(tmp_path):
    source, site = tmp_path / "source", tmp_path / "site"
    shutil.copytree(ROOT / "examples/cython_package", source)
    options = ["--quiet", "--no-build-isolation", "--no-deps", "--no-index", "--target", site]
    run(sys.executable, "-m", "pip", "install", *options, source, cwd=tmp_path)
    image = np.random.default_rng(0).standard_normal((7, 9)).astype(np.float32)
    np.save(tmp_path / "image.npy", image)
    blur = "import cgconv_blur, numpy as np; x = np.load('image.npy'); y = x.copy(); cgconv_blur.blur(x, y)"
    run(sys.executable, "-c", f"{blur}; np.save('blurred.npy', y)", cwd=tmp_path, PYTHONPATH=site)

    weight = np.outer([1, 2, 1], [1, 2, 1]).astype(np.float32).reshape(1, 1, 3, 3) / 16
    blurred = cgconv.conv2d(image[None], weight, padding=1, padding_value="symmetric-include-edge", layout="CHW")
    assert np.array_equal(np.load(tmp_path / "blurred.npy"), blurred[0])


def test_the_shared_library_exports_the_functions_of_the_header_only(prefix):
    declared = set(re.findall(r"^CGCONV_API .*?\b(cgconv_\w+)\(", HEADER.read_text(), re.MULTILINE))
    assert len(declared) > 20
    assert symbols(prefix / "lib/libcgconv.so", "--dynamic") == declared


def test_the_static_library_defines_prefixed_names_only(prefix):
    names = symbols(prefix / "lib/libcgconv.a", "--extern-only")
    assert "cgconv_forward" in names
    # Sanitizers and profilers add names that begin with an underscore, which belong to the compiler.
    assert not [name for name in names if not re.match(r"cgconv_|cgc_|_", name)]


def test_the_shared_library_has_a_versioned_name(prefix):
    soname = re.search(r"SONAME.*\[(.+)\]", run("readelf", "--dynamic", prefix / "lib/libcgconv.so"))[1]
    assert re.fullmatch(r"libcgconv\.so\.\d+\.\d+", soname)
    assert (prefix / "lib" / soname).exists()
