# Builds the extension module cgconv._core and installs it with the declarations for Cython users. scikit-build-core
# runs this file; its install prefix is the folder of the package, which therefore gets include/ and lib/ too.
find_package(Python 3.11 REQUIRED COMPONENTS Interpreter Development.Module)
find_package(Cython 3.0 REQUIRED)
include(UseCython)
include(CheckLinkerFlag)

cython_transpile(${PROJECT_SOURCE_DIR}/src/pyx/_core.pyx
  LANGUAGE C
  MODULE_NAME cgconv._core
  INCLUDE_DIRECTORIES ${PROJECT_SOURCE_DIR}/src/pyx
  OUTPUT ${PROJECT_BINARY_DIR}/pyx/_core.c
  OUTPUT_VARIABLE CGCONV_CORE_C)

Python_add_library(cgconv_python MODULE WITH_SOABI ${CGCONV_CORE_C})
set_target_properties(cgconv_python PROPERTIES OUTPUT_NAME _core C_VISIBILITY_PRESET hidden)
target_link_libraries(cgconv_python PRIVATE cgconv::static)

# The extension shows its init function only: another copy of the library in the same process is none of its business.
check_linker_flag(C -Wl,--exclude-libs,ALL CGCONV_HAS_EXCLUDE_LIBS)
if(CGCONV_HAS_EXCLUDE_LIBS)
  target_link_options(cgconv_python PRIVATE -Wl,--exclude-libs,ALL)
endif()

install(TARGETS cgconv_python DESTINATION .)
install(FILES ${PROJECT_SOURCE_DIR}/src/pyx/cgconv.pxd DESTINATION . RENAME __init__.pxd)
