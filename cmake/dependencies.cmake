# What is found on this machine: the mathematics library, OpenMP, CUDA. It fills CGCONV_LINK_FILES with what is linked
# here, and CGCONV_LINK_NAMES with the same as plain names: whoever links the installed static library, perhaps with
# other tools than CMake, should not have to look for OpenMP again.
set(CGCONV_LINK_FILES "")
set(CGCONV_LINK_NAMES "")

set(CGCONV_OPENMP_TEXT "off")
if(CGCONV_OPENMP)
  find_package(OpenMP COMPONENTS C)
  if(OpenMP_C_FOUND)
    set(CGCONV_OPENMP_TEXT "${OpenMP_C_VERSION} (${OpenMP_C_FLAGS})")
    list(APPEND CGCONV_LINK_FILES ${OpenMP_C_LIBRARIES})
    list(APPEND CGCONV_LINK_NAMES ${OpenMP_C_LIB_NAMES})
  else()
    set(CGCONV_OPENMP_TEXT "not found, so runs are serial")
  endif()
endif()

function(cgconv_use_openmp target)
  if(CGCONV_OPENMP AND OpenMP_C_FOUND)
    target_link_libraries(${target} PRIVATE OpenMP::OpenMP_C)
  endif()
endfunction()

if(UNIX)
  list(APPEND CGCONV_LINK_FILES m)
  list(APPEND CGCONV_LINK_NAMES m)
endif()

set(CGCONV_CUDA_TEXT "not looked for")
if(CGCONV_CUDA)
  find_package(CUDAToolkit QUIET)
  if(CUDAToolkit_FOUND)
    set(CGCONV_CUDA_TEXT "toolkit ${CUDAToolkit_VERSION} found, but this version has no GPU code")
  else()
    set(CGCONV_CUDA_TEXT "looked for, not found")
  endif()
endif()

# Called once the target exists, from the directory of the target. Only the files that must know of OpenMP and CUDA are
# told, so that one compiled kernel serves builds with and without them, if a compiler cache is there.
function(cgconv_tell_sources)
  set(folder ${PROJECT_SOURCE_DIR}/src/c)
  if(CGCONV_OPENMP AND OpenMP_C_FOUND)
    separate_arguments(flags NATIVE_COMMAND "${OpenMP_C_FLAGS}")
    set_source_files_properties(${folder}/platform/threads_openmp.c ${folder}/platform/threads_serial.c PROPERTIES
      COMPILE_OPTIONS "${flags}" INCLUDE_DIRECTORIES "${OpenMP_C_INCLUDE_DIRS}")
  endif()
  if(CGCONV_CUDA)
    set_source_files_properties(${folder}/api/library.c PROPERTIES
      COMPILE_DEFINITIONS "CGCONV_CUDA_TEXT=\"${CGCONV_CUDA_TEXT}\"")
  endif()
endfunction()
