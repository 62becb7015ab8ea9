# SPDX-License-Identifier: Apache-2.0
# What `cmake --install` puts where, and the package files by which other projects find it.

include(CMakePackageConfigHelpers)

# The C interface may still change between 0.x versions, so the minor version is part of the SONAME.
set_target_properties(tare_lib PROPERTIES
  EXPORT_NAME tare
  VERSION ${PROJECT_VERSION}
  SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR})
target_include_directories(tare_lib INTERFACE
  $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)

# The program finds the library beside it wherever the prefix is moved to.
file(RELATIVE_PATH TARE_BIN_TO_LIB ${CMAKE_INSTALL_FULL_BINDIR} ${CMAKE_INSTALL_FULL_LIBDIR})
set_target_properties(tare PROPERTIES INSTALL_RPATH "$ORIGIN/${TARE_BIN_TO_LIB}")

install(TARGETS tare_lib EXPORT TareTargets LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(TARGETS tare RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(FILES ${PROJECT_SOURCE_DIR}/include/tare.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(FILES ${PROJECT_SOURCE_DIR}/LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})

set(TARE_PACKAGE_DIR ${CMAKE_INSTALL_LIBDIR}/cmake/Tare)
configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/TareConfig.cmake.in
  ${PROJECT_BINARY_DIR}/package/TareConfig.cmake INSTALL_DESTINATION ${TARE_PACKAGE_DIR})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/package/TareConfigVersion.cmake
  COMPATIBILITY SameMinorVersion)
install(EXPORT TareTargets NAMESPACE Tare:: DESTINATION ${TARE_PACKAGE_DIR})
install(FILES ${PROJECT_BINARY_DIR}/package/TareConfig.cmake
  ${PROJECT_BINARY_DIR}/package/TareConfigVersion.cmake DESTINATION ${TARE_PACKAGE_DIR})

# The path from the .pc file to the prefix: the file names no absolute folder, so a prefix can be moved.
file(RELATIVE_PATH TARE_PC_TO_PREFIX
  ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig ${CMAKE_INSTALL_PREFIX})
configure_file(${CMAKE_CURRENT_LIST_DIR}/tare.pc.in ${PROJECT_BINARY_DIR}/package/tare.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/package/tare.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
