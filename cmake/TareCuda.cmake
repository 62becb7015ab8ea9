# SPDX-License-Identifier: Apache-2.0
# Decides whether the CUDA kernels are built: TARE_CUDA_BUILD, and TARE_CUDA_REASON when they are not.

set(TARE_CUDA_BUILD OFF)
find_program(TARE_NVCC nvcc HINTS $ENV{CUDA_HOME}/bin /usr/local/cuda/bin DOC "The CUDA compiler")
if(NOT TARE_CUDA MATCHES "^(AUTO|ON|OFF)$")
  message(FATAL_ERROR "TARE_CUDA is ${TARE_CUDA}, expected AUTO, ON or OFF")
elseif(TARE_CUDA STREQUAL "OFF")
  set(TARE_CUDA_REASON "TARE_CUDA is OFF")
elseif(NOT TARE_NVCC)
  set(TARE_CUDA_REASON "nvcc was not found")
  if(TARE_CUDA STREQUAL "ON")
    message(FATAL_ERROR "TARE_CUDA is ON, but ${TARE_CUDA_REASON}; set TARE_NVCC or CUDA_HOME")
  endif()
elseif(TARE_CUDA STREQUAL "AUTO" AND (TARE_SANITIZE OR TARE_FUZZ))
  # Sanitizers see nothing of device code, and a second build of it would take as long as the first.
  set(TARE_CUDA_REASON "TARE_CUDA is AUTO in a build with sanitizers")
else()
  set(TARE_CUDA_BUILD ON)
endif()
if(NOT TARE_CUDA_BUILD)
  message(STATUS "No CUDA kernels: ${TARE_CUDA_REASON}")
endif()
