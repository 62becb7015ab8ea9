# SPDX-License-Identifier: Apache-2.0
# What every target of the project is compiled with, and the function that declares a layer.

find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)

add_library(tare_options INTERFACE)
target_compile_features(tare_options INTERFACE c_std_11)
target_compile_options(tare_options INTERFACE
  -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Werror
  -fno-math-errno -ffp-contract=off)
# _FILE_OFFSET_BITS and POSIX for mappings, threads and atomic renames; nothing of GNU's extensions.
target_compile_definitions(tare_options INTERFACE _POSIX_C_SOURCE=200809L _FILE_OFFSET_BITS=64 TARE_BUILDING=1
  TARE_VERSION="${PROJECT_VERSION}")
target_include_directories(tare_options INTERFACE ${CMAKE_SOURCE_DIR}/include ${CMAKE_SOURCE_DIR}/src/host)
target_link_libraries(tare_options INTERFACE Threads::Threads m)
if(TARE_SANITIZE)
  target_compile_options(tare_options INTERFACE -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(tare_options INTERFACE -fsanitize=address,undefined)
endif()

# tare_layer(NAME base SOURCES a.c b.c DEPENDS lower layers LIBRARIES external libraries)
# A layer is a folder: a static library for the unit tests, whose objects also make up libtare.
function(tare_layer)
  cmake_parse_arguments(L "" "NAME" "SOURCES;DEPENDS;LIBRARIES" ${ARGN})
  add_library(tare_${L_NAME} STATIC ${L_SOURCES})
  target_link_libraries(tare_${L_NAME} PUBLIC tare_options ${L_LIBRARIES})
  target_compile_options(tare_${L_NAME} PRIVATE -include ${CMAKE_SOURCE_DIR}/src/host/base/banned.h)
  foreach(below IN LISTS L_DEPENDS)
    target_link_libraries(tare_${L_NAME} PUBLIC tare_${below})
  endforeach()
  set_property(GLOBAL APPEND PROPERTY TARE_LAYERS tare_${L_NAME})
endfunction()
