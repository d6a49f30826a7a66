# How everything is compiled: hashwood_flags carries it to our own targets and to nobody else.

set(CMAKE_C_STANDARD 11)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS OFF)
set(CMAKE_CXX_STANDARD 17)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_C_VISIBILITY_PRESET hidden)
set(CMAKE_CXX_VISIBILITY_PRESET hidden)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "Debug or Release" FORCE)
endif()
# Debug information in releases too: it costs no speed, and a crash report is worth little without.
set(CMAKE_C_FLAGS_RELEASE "-O2 -g -DNDEBUG")
set(CMAKE_CXX_FLAGS_RELEASE "-O2 -g -DNDEBUG")
set(CMAKE_C_FLAGS_DEBUG "-Og -g")
set(CMAKE_CXX_FLAGS_DEBUG "-Og -g")

add_library(hashwood_flags INTERFACE)
target_compile_definitions(hashwood_flags INTERFACE _GNU_SOURCE)
# No contraction of a * b + c into a fused multiply-add behind our back: a score must not depend on
# the compiler or on which function it was inlined into. Kernels that want FMA say so explicitly.
target_compile_options(hashwood_flags INTERFACE -ffp-contract=off -fno-math-errno
  -Wall -Wextra -Wshadow -Wconversion -Wpointer-arith -Wwrite-strings -Wvla
  $<$<COMPILE_LANGUAGE:C>:-Wstrict-prototypes -Wold-style-definition>)
if(HASHWOOD_WERROR)
  target_compile_options(hashwood_flags INTERFACE -Werror)
endif()

if(HASHWOOD_SANITIZE)
  set(sanitize -fsanitize=${HASHWOOD_SANITIZE} -fno-omit-frame-pointer)
  # vptr checks need run-time types, which json_shim.cpp is built without.
  add_compile_options(-O1 ${sanitize} -fno-sanitize-recover=all
                      $<$<COMPILE_LANGUAGE:CXX>:-fno-sanitize=vptr>)
  add_link_options(${sanitize})
endif()
if(HASHWOOD_FUZZ)
  if(NOT CMAKE_C_COMPILER_ID MATCHES "Clang")
    message(FATAL_ERROR "HASHWOOD_FUZZ needs clang: use `cmake --preset fuzz`")
  endif()
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()
