# SPDX-License-Identifier: Apache-2.0
# Decides whether the CUDA backend is built: TARE_CUDA_BUILD, and TARE_CUDA_REASON when it is not. TARE_CUDA_INCLUDE_DIR,
# the headers of CUDA, cuDNN and cuBLASLt, is looked for in any case: the tests on the CPU need them too.

find_program(TARE_NVCC nvcc HINTS $ENV{CUDA_HOME}/bin /usr/local/cuda/bin DOC "The CUDA compiler")
set(TARE_CUDA_ARCHITECTURES 80 86 89 90 100 120 CACHE STRING "Compute capabilities to compile for, ascending")

find_path(TARE_CUDA_INCLUDE_DIR cudnn.h HINTS $ENV{CUDA_HOME}/include /usr/local/cuda/include
  DOC "The headers of CUDA, cuDNN and cuBLASLt")
find_library(TARE_CUDART_STATIC libcudart_static.a HINTS $ENV{CUDA_HOME}/lib64 /usr/local/cuda/lib64
  DOC "The static CUDA runtime")
foreach(header cuda_runtime_api.h cublasLt.h)
  if(TARE_CUDA_INCLUDE_DIR AND NOT EXISTS ${TARE_CUDA_INCLUDE_DIR}/${header})
    message(STATUS "${TARE_CUDA_INCLUDE_DIR} has cudnn.h and no ${header}")
    set(TARE_CUDA_INCLUDE_DIR "")
  endif()
endforeach()

# Whether nvcc accepts the host's compiler and knows the newest architecture; asked once per build folder.
function(tare_try_nvcc works)
  if(NOT DEFINED TARE_NVCC_WORKS)
    list(GET TARE_CUDA_ARCHITECTURES -1 highest)
    set(file ${CMAKE_BINARY_DIR}/CMakeFiles/try_nvcc.cu)
    file(WRITE ${file} "#include <cuda_runtime.h>\n__global__ void nothing() {\n}\n")
    execute_process(COMMAND ${TARE_NVCC} -std=c++17 -arch=sm_${highest} -c ${file} -o ${file}.o
      RESULT_VARIABLE status OUTPUT_VARIABLE said ERROR_VARIABLE said)
    if(status EQUAL 0)
      set(TARE_NVCC_WORKS ON CACHE INTERNAL "nvcc compiles a kernel")
    else()
      message(STATUS "${TARE_NVCC} failed: ${said}")
    endif()
  endif()
  set(${works} ${TARE_NVCC_WORKS} PARENT_SCOPE)
endfunction()

set(TARE_CUDA_BUILD OFF)
if(NOT TARE_CUDA MATCHES "^(AUTO|ON|OFF)$")
  message(FATAL_ERROR "TARE_CUDA is ${TARE_CUDA}, expected AUTO, ON or OFF")
elseif(TARE_CUDA STREQUAL "OFF")
  set(TARE_CUDA_REASON "TARE_CUDA is OFF")
elseif(TARE_CUDA STREQUAL "AUTO" AND (TARE_SANITIZE OR TARE_FUZZ))
  # Sanitizers see nothing of device code, and a second build of it would take as long as the first.
  set(TARE_CUDA_REASON "TARE_CUDA is AUTO in a build with sanitizers")
elseif(NOT TARE_NVCC)
  set(TARE_CUDA_REASON "nvcc was not found; TARE_NVCC or CUDA_HOME says where it is")
elseif(NOT TARE_CUDA_INCLUDE_DIR)
  set(TARE_CUDA_REASON "cudnn.h was not found beside CUDA's headers; TARE_CUDA_INCLUDE_DIR or CUDA_HOME says where it is")
elseif(NOT TARE_CUDART_STATIC)
  set(TARE_CUDA_REASON "libcudart_static.a was not found; TARE_CUDART_STATIC or CUDA_HOME says where it is")
else()
  tare_try_nvcc(works)
  if(works)
    set(TARE_CUDA_BUILD ON)
  else()
    set(TARE_CUDA_REASON "${TARE_NVCC} does not compile for the TARE_CUDA_ARCHITECTURES ${TARE_CUDA_ARCHITECTURES}")
  endif()
endif()

if(NOT TARE_CUDA_BUILD AND TARE_CUDA STREQUAL "ON")
  message(FATAL_ERROR "TARE_CUDA is ON, but ${TARE_CUDA_REASON}")
elseif(NOT TARE_CUDA_BUILD)
  message(STATUS "No CUDA backend: ${TARE_CUDA_REASON}")
endif()
