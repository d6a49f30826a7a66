# make install: the command, libhashwood, its headers, pkg-config and CMake files, man pages, shell
# completions.
include(CMakePackageConfigHelpers)

install(TARGETS hashwood EXPORT hashwood_targets LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(DIRECTORY include/hashwood DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN *.h)
if(TARGET hashwood_command)
  install(TARGETS hashwood_command RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/hashwood)
install(EXPORT hashwood_targets NAMESPACE hashwood:: FILE hashwoodConfig.cmake
        DESTINATION ${package_dir})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/hashwoodConfigVersion.cmake
                                 COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/hashwoodConfigVersion.cmake DESTINATION ${package_dir})

# The prefix in hashwood.pc follows from where the file lies, so an installed tree can be moved.
file(RELATIVE_PATH pc_to_prefix /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
configure_file(cmake/hashwood.pc.in hashwood.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/hashwood.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

foreach(section 1 3 5)
  file(GLOB pages CONFIGURE_DEPENDS docs/man/*.${section})
  install(FILES ${pages} DESTINATION ${CMAKE_INSTALL_MANDIR}/man${section})
endforeach()

set(completions ${PROJECT_SOURCE_DIR}/tools/completions)
install(FILES ${completions}/hashwood.bash OPTIONAL RENAME hashwood
        DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions)
install(FILES ${completions}/_hashwood OPTIONAL
        DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/site-functions)
install(FILES ${completions}/hashwood.fish OPTIONAL
        DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d)
install(FILES LICENSE OPTIONAL DESTINATION ${CMAKE_INSTALL_DOCDIR})
