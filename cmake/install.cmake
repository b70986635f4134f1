# Installs the header, the libraries, the CMake package and the pkg-config file. Every path inside them is relative,
# so that the prefix can be moved. It must not know whether that is a system folder or the folder of a Python package.
include(CMakePackageConfigHelpers)
if(SKBUILD)
  # get_library_dir() looks in lib, whatever the distribution's habit is.
  set(CMAKE_INSTALL_LIBDIR lib)
endif()
include(GNUInstallDirs)
set(CGCONV_CMAKEDIR ${CMAKE_INSTALL_LIBDIR}/cmake/cgconv)

install(FILES ${PROJECT_SOURCE_DIR}/src/c/include/cgconv.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
foreach(library IN LISTS CGCONV_LIBRARIES)
  install(TARGETS cgconv_${library} EXPORT cgconvTargets
    ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
    LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
    RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR}
    INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
endforeach()

install(EXPORT cgconvTargets NAMESPACE cgconv:: DESTINATION ${CGCONV_CMAKEDIR})
configure_package_config_file(cmake/cgconvConfig.cmake.in ${PROJECT_BINARY_DIR}/cgconvConfig.cmake
  INSTALL_DESTINATION ${CGCONV_CMAKEDIR}
  NO_SET_AND_CHECK_MACRO)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/cgconvConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/cgconvConfig.cmake ${PROJECT_BINARY_DIR}/cgconvConfigVersion.cmake
  DESTINATION ${CGCONV_CMAKEDIR})

# The names in cgconv.pc: what -lcgconv needs goes to Libs where there is no shared library that brings it along.
file(RELATIVE_PATH CGCONV_PC_PREFIX /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
string(REGEX REPLACE "/$" "" CGCONV_PC_PREFIX "${CGCONV_PC_PREFIX}")
list(TRANSFORM CGCONV_LINK_NAMES PREPEND "-l" OUTPUT_VARIABLE CGCONV_PC_PRIVATE)
list(JOIN CGCONV_PC_PRIVATE " " CGCONV_PC_PRIVATE)
set(CGCONV_PC_PUBLIC "")
if(NOT "shared" IN_LIST CGCONV_LIBRARIES)
  set(CGCONV_PC_PUBLIC " ${CGCONV_PC_PRIVATE}")
  set(CGCONV_PC_PRIVATE "")
endif()
configure_file(cmake/cgconv.pc.in ${PROJECT_BINARY_DIR}/cgconv.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/cgconv.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
