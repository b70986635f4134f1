# What the C compiler understands: warnings, floating-point rules, the flags of each instruction set.
# It must not know targets, only fill CGCONV_COMPILE_OPTIONS and CGCONV_ISA_TABLES.
include(CheckCCompilerFlag)
include(CheckSymbolExists)

# Contraction is the kernels' own decision, so that every build computes the same bits. The standard is an option like
# the others, since where CMake itself puts it differs from version to version, which compiler caches take notice of.
set(CGCONV_COMPILE_OPTIONS "")
foreach(flag IN ITEMS
    -std=c11 -ffp-contract=off -fno-math-errno -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion)
  string(MAKE_C_IDENTIFIER "CGCONV_HAS${flag}" known)
  check_c_compiler_flag(${flag} ${known})
  if(${known})
    list(APPEND CGCONV_COMPILE_OPTIONS ${flag})
  endif()
endforeach()

# A project that embeds this one and names no build type still gets fast kernels.
if(CMAKE_C_COMPILER_ID MATCHES "GNU|Clang")
  list(APPEND CGCONV_COMPILE_OPTIONS $<$<CONFIG:>:-O3>)
endif()

# Each instruction set is one file, compiled with its own flags. A file whose flags are unknown here compiles to an
# absent table; the choice among those that exist is made at run time.
set(CGCONV_AVX2_FLAGS -mavx2 -mfma)
set(CGCONV_AVX512_FLAGS -mavx512f -mavx512vl -mavx512dq -mavx512bw -mfma)
set(CGCONV_ISA_TABLES nofma scalar)
foreach(isa IN ITEMS avx2 avx512)
  string(TOUPPER ${isa} upper)
  string(REPLACE ";" " " flags "${CGCONV_${upper}_FLAGS}")
  check_c_compiler_flag("${flags}" CGCONV_HAS_${upper})
  if(CGCONV_HAS_${upper})
    list(APPEND CGCONV_ISA_TABLES ${isa})
  endif()
endforeach()
# NEON needs no flags where it exists. But GCC for Arm reorders before it allots registers: it moves the loads of a loop
# together, and has too few registers left for the sums.
if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
  set(CGCONV_NEON_FLAGS -fno-schedule-insns)
endif()
check_symbol_exists(__aarch64__ arm_neon.h CGCONV_HAS_NEON)
if(CGCONV_HAS_NEON)
  list(APPEND CGCONV_ISA_TABLES neon)
endif()

# Called once the target exists, from the directory of the target.
function(cgconv_set_isa_flags)
  foreach(isa IN LISTS CGCONV_ISA_TABLES)
    string(TOUPPER ${isa} upper)
    set(folder ${PROJECT_SOURCE_DIR}/src/c/kernels)
    set_source_files_properties(
      ${folder}/kernels_${isa}.c ${folder}/stencils_${isa}.c ${folder}/gradients_${isa}.c
      PROPERTIES COMPILE_OPTIONS "${CGCONV_${upper}_FLAGS}")
  endforeach()
endfunction()
