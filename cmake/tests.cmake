# Every test is one ctest entry named <kind>/<thing> with the kind as its label:
#
#   tests/{unit,prop,conform,fault,recall}/test_<thing>.c   a program linked with hashwood_core
#   tests/fuzz/fuzz_<thing>.c                               replays tests/fuzz/corpus/<thing>/
#   tests/e2e/<thing>.{sh,py}                               runs the built command; exit 77: skipped
#   examples/<thing>.c                                      a program linked with libhashwood alone
#   headers/c, headers/c++                                  each header compiles alone
#
# Files of tests/support/ are linked into every program; e2e files that begin with "_" are helpers.

pkg_check_modules(CMOCKA REQUIRED IMPORTED_TARGET cmocka)

set(HASHWOOD_TEST_SECONDS 1200 CACHE STRING "after how many seconds a test has failed")
file(GLOB support_sources CONFIGURE_DEPENDS tests/support/*.c)
add_library(test_support STATIC ${support_sources} cmake/empty.c)
target_include_directories(test_support PUBLIC ${PROJECT_SOURCE_DIR}/tests)
target_compile_definitions(test_support PUBLIC HWT_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
target_link_libraries(test_support PRIVATE hashwood_flags
                      PUBLIC hashwood_formats hashwood_embedding hashwood_core PkgConfig::CMOCKA)

# FoundationDB's client library as the tests need it; see the README there. Never installed.
file(GLOB standin_sources CONFIGURE_DEPENDS tests/support/fdb_standin/*.c)
add_library(fdb_c_standin MODULE ${standin_sources})
target_link_libraries(fdb_c_standin PRIVATE hashwood_flags Threads::Threads)
set_target_properties(fdb_c_standin PROPERTIES LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests)
add_dependencies(test_support fdb_c_standin)
target_compile_definitions(test_support PUBLIC
                           HWT_FDB_STANDIN="${PROJECT_BINARY_DIR}/tests/libfdb_c_standin.so")

set(test_environment
    HASHWOOD=${PROJECT_BINARY_DIR}/hashwood HASHWOOD_SOURCE=${PROJECT_SOURCE_DIR}
    HASHWOOD_BUILD=${PROJECT_BINARY_DIR} CC=${CMAKE_C_COMPILER} CXX=${CMAKE_CXX_COMPILER}
    HASHWOOD_SANITIZE=${HASHWOOD_SANITIZE})

function(hashwood_add_test name kind)
  add_test(NAME ${name} COMMAND ${ARGN})
  set(labels ${kind})
  if(name MATCHES "concurren")
    list(APPEND labels concurrency)
  endif()
  set_tests_properties(${name} PROPERTIES LABELS "${labels}" SKIP_RETURN_CODE 77
    TIMEOUT ${HASHWOOD_TEST_SECONDS} ENVIRONMENT "${test_environment}")
endfunction()

foreach(kind unit prop conform fault recall)
  file(GLOB sources CONFIGURE_DEPENDS tests/${kind}/test_*.c)
  if(NOT HASHWOOD_EMBEDDING)
    list(FILTER sources EXCLUDE REGEX "/test_embed_")
  endif()
  if(NOT HASHWOOD_SERVER)
    list(FILTER sources EXCLUDE REGEX "/test_server_")
  endif()
  foreach(source IN LISTS sources)
    get_filename_component(stem ${source} NAME_WE)
    string(REGEX REPLACE "^test_" "" thing ${stem})
    set(target test_${kind}_${thing})
    add_executable(${target} ${source})
    if(thing MATCHES "^server")
      target_link_libraries(${target} PRIVATE hashwood_server)
    endif()
    target_link_libraries(${target} PRIVATE test_support hashwood_flags)
    set_target_properties(${target} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests)
    hashwood_add_test(${kind}/${thing} ${kind} ${target})
  endforeach()
endforeach()

# The same programs over FoundationDB: <test>.standin over the stand-in, <test>.fdb over the cluster
# that HASHWOOD_TEST_FDB names, skipped without one.
set(tests_on_fdb conform/store conform/store_concurrency prop/store prop/model prop/index_prop prop/build_catch_up
    prop/reads prop/txn_reads prop/kinds unit/aliases unit/concurrency unit/hold
    unit/many_collections unit/metrics fault/store_faults fault/fault_store fault/crash recall/drift)
foreach(test IN LISTS tests_on_fdb)
  string(REGEX REPLACE "/" "_" target test_${test})
  string(REGEX REPLACE "/.*" "" kind ${test})
  foreach(store standin fdb)
    if(test STREQUAL unit/hold AND store STREQUAL fdb)
      continue() # it holds snapshots for longer than a cluster keeps them
    endif()
    if(test STREQUAL recall/drift AND store STREQUAL standin)
      continue() # 120,000 rows: too long for every day
    endif()
    hashwood_add_test(${test}.${store} ${kind} ${target})
    set_property(TEST ${test}.${store} APPEND PROPERTY LABELS fdb)
    set_property(TEST ${test}.${store} APPEND PROPERTY ENVIRONMENT HASHWOOD_TEST_STORE=${store})
  endforeach()
endforeach()
hashwood_add_test(unit/fdb_standin.fdb unit test_unit_fdb_standin)
set_property(TEST unit/fdb_standin.fdb APPEND PROPERTY LABELS fdb)
set_property(TEST unit/fdb_standin.fdb APPEND PROPERTY ENVIRONMENT HASHWOOD_TEST_STORE=fdb)

# With HASHWOOD_FUZZ libFuzzer brings main(); otherwise a small one of ours feeds the kept corpus.
file(GLOB sources CONFIGURE_DEPENDS tests/fuzz/fuzz_*.c)
if(NOT HASHWOOD_SERVER)
  list(FILTER sources EXCLUDE REGEX "/fuzz_server\\.c$")
endif()
if(NOT HASHWOOD_EMBEDDING)
  list(FILTER sources EXCLUDE REGEX "/fuzz_(image|sound)\\.c$")
endif()
foreach(source IN LISTS sources)
  get_filename_component(stem ${source} NAME_WE)
  string(REGEX REPLACE "^fuzz_" "" thing ${stem})
  set(corpus ${PROJECT_SOURCE_DIR}/tests/fuzz/corpus/${thing})
  if(HASHWOOD_FUZZ)
    add_executable(${stem} ${source})
    target_link_options(${stem} PRIVATE -fsanitize=fuzzer)
    hashwood_add_test(fuzz/${thing} fuzz ${stem} -seed=1 -runs=20000 -max_total_time=60
                      -artifact_prefix=${PROJECT_BINARY_DIR}/ ${PROJECT_BINARY_DIR}/corpus/${thing}
                      ${corpus})
    file(MAKE_DIRECTORY ${PROJECT_BINARY_DIR}/corpus/${thing})
  else()
    add_executable(${stem} ${source} tests/fuzz/replay_main.c)
    hashwood_add_test(fuzz/${thing} fuzz ${stem} ${corpus})
  endif()
  if(thing MATCHES "^server")
    target_link_libraries(${stem} PRIVATE hashwood_server)
  endif()
  target_link_libraries(${stem} PRIVATE test_support hashwood_flags)
  set_target_properties(${stem} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests)
endforeach()

# One of the processes that fdb_cluster.py starts.
add_executable(fdb_worker tests/e2e/fdb_worker.c)
target_link_libraries(fdb_worker PRIVATE hashwood hashwood_flags)
set_target_properties(fdb_worker PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests)

file(GLOB scripts CONFIGURE_DEPENDS tests/e2e/*.sh tests/e2e/*.py)
if(NOT HASHWOOD_SERVER)
  list(FILTER scripts EXCLUDE REGEX "/(serve|rest_|page|remote|qdrant_|langchain|showcases)[^/]*$")
endif()
find_program(PYTHON NAMES python3)
foreach(script IN LISTS scripts)
  get_filename_component(thing ${script} NAME_WE)
  if(thing MATCHES "^_")
    continue()
  elseif(script MATCHES "\\.py$")
    hashwood_add_test(e2e/${thing} e2e ${PYTHON} ${script})
  else()
    hashwood_add_test(e2e/${thing} e2e bash ${script})
  endif()
endforeach()

file(GLOB sources CONFIGURE_DEPENDS examples/*.c)
foreach(source IN LISTS sources)
  get_filename_component(thing ${source} NAME_WE)
  add_executable(example_${thing} ${source})
  target_link_libraries(example_${thing} PRIVATE hashwood hashwood_flags m)
  set_target_properties(example_${thing} PROPERTIES OUTPUT_NAME ${thing}
                        RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/examples)
  file(MAKE_DIRECTORY ${PROJECT_BINARY_DIR}/examples/run/${thing})
  hashwood_add_test(examples/${thing} examples example_${thing})
  set_tests_properties(examples/${thing} PROPERTIES
                       WORKING_DIRECTORY ${PROJECT_BINARY_DIR}/examples/run/${thing})
endforeach()

hashwood_add_test(headers/c headers bash ${PROJECT_SOURCE_DIR}/tests/headers.sh c)
hashwood_add_test(headers/c++ headers bash ${PROJECT_SOURCE_DIR}/tests/headers.sh c++)
