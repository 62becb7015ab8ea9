# SPDX-License-Identifier: Apache-2.0
# Installs into a folder of the build tree, moves that folder, and builds a consumer against it with
# find_package and with pkg-config. Run with -DBUILD= -DWORK= -DCONSUMER= -DVERSION= -DGENERATOR= -DCOMPILER=
# -DFLAGS=.

function(run)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE code OUTPUT_VARIABLE text ERROR_VARIABLE text)
  if(NOT code EQUAL 0)
    string(REPLACE ";" " " command "${ARGN}")
    message(FATAL_ERROR "exit ${code}: ${command}\n${text}")
  endif()
  set(output "${text}" PARENT_SCOPE)
endfunction()

function(expect_version)
  if(NOT output STREQUAL "tare ${VERSION}\n")
    message(FATAL_ERROR "expected 'tare ${VERSION}', got '${output}'")
  endif()
endfunction()

file(REMOVE_RECURSE ${WORK})
run(${CMAKE_COMMAND} --install ${BUILD} --prefix ${WORK}/staged)
file(RENAME ${WORK}/staged ${WORK}/prefix)

run(${WORK}/prefix/bin/tare --version)
expect_version()

file(GLOB_RECURSE package_file ${WORK}/prefix/tare.pc)
cmake_path(GET package_file PARENT_PATH package_folder)
foreach(way OFF ON)
  run(${CMAKE_COMMAND} -E env PKG_CONFIG_PATH=${package_folder}
    ${CMAKE_COMMAND} -S ${CONSUMER} -B ${WORK}/consumer-${way} -G ${GENERATOR}
    -DCMAKE_C_COMPILER=${COMPILER} -DCMAKE_C_FLAGS=${FLAGS} -DCMAKE_PREFIX_PATH=${WORK}/prefix
    -DCMAKE_BUILD_RPATH=${package_folder}/.. -DEXPECTED_VERSION=${VERSION} -DBY_PKG_CONFIG=${way})
  run(${CMAKE_COMMAND} --build ${WORK}/consumer-${way})
  run(${WORK}/consumer-${way}/consumer)
  expect_version()
endforeach()
