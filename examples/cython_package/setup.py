"""Says where cgconv's header and static library are. It must not know how cgconv was built."""

import cgconv
from Cython.Build import cythonize
from setuptools import Extension, setup

extension = Extension(
    "cgconv_blur",
    ["cgconv_blur.pyx"],
    include_dirs=[cgconv.get_include()],
    library_dirs=[cgconv.get_library_dir()],
    libraries=["cgconv", "m"],
    extra_link_args=["-fopenmp"],  # the library runs on several threads
)
setup(ext_modules=cythonize([extension]))
