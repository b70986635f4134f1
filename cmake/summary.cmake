# Says at configure time what will be built. It decides nothing.
list(JOIN CGCONV_ISA_TABLES " " CGCONV_ISA_TEXT)
if(CGCONV_SANITIZE)
  set(CGCONV_SANITIZE_TEXT "${CGCONV_SANITIZE}")
else()
  set(CGCONV_SANITIZE_TEXT "none")
endif()
if(CGCONV_TOP_LEVEL OR CGCONV_INSTALL)
  list(JOIN CGCONV_LIBRARIES " " CGCONV_LIBRARIES_TEXT)
else()
  set(CGCONV_LIBRARIES_TEXT "as linked")
endif()
message(STATUS "cgconv ${PROJECT_VERSION}
   compiler          ${CMAKE_C_COMPILER_ID} ${CMAKE_C_COMPILER_VERSION} for ${CMAKE_SYSTEM_PROCESSOR}
   build type        ${CMAKE_BUILD_TYPE}
   instruction sets  ${CGCONV_ISA_TEXT}
   OpenMP            ${CGCONV_OPENMP_TEXT}
   CUDA              ${CGCONV_CUDA_TEXT}
   sanitizers        ${CGCONV_SANITIZE_TEXT}
   libraries         ${CGCONV_LIBRARIES_TEXT}
   C tests           ${CGCONV_BUILD_TESTS}
   install           ${CGCONV_INSTALL}")
