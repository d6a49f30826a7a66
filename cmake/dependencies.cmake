# What hashwood stands on. Required: LMDB, OpenBLAS with LAPACKE, CRoaring, xxHash, zstd, simdjson,
# zlib.
# Optional, told by a message when absent: HDF5 (reading .hdf5 files), libedit (line editing in the
# shell), libmicrohttpd with libyaml and GnuTLS (the server). tools/deps.sh installs all of them on
# Debian.

find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)

add_library(hashwood_dependencies INTERFACE)
target_link_libraries(hashwood_dependencies INTERFACE Threads::Threads m)

# hashwood_find(NAME HEADER LIBRARY...): header and libraries where the compiler looks, or pkg-config.
function(hashwood_find name header)
  pkg_check_modules(PC_${name} QUIET ${name})
  find_path(${name}_INCLUDE ${header} HINTS ${PC_${name}_INCLUDE_DIRS})
  set(libraries "")
  foreach(library IN LISTS ARGN)
    find_library(${name}_${library}_LIBRARY ${library} HINTS ${PC_${name}_LIBRARY_DIRS})
    if(NOT ${name}_${library}_LIBRARY)
      message(FATAL_ERROR "${library} was not found; run tools/deps.sh or install ${name}")
    endif()
    list(APPEND libraries ${${name}_${library}_LIBRARY})
  endforeach()
  if(NOT ${name}_INCLUDE)
    message(FATAL_ERROR "${header} was not found; run tools/deps.sh or install ${name}")
  endif()
  target_link_libraries(hashwood_dependencies INTERFACE ${libraries})
  target_include_directories(hashwood_dependencies SYSTEM INTERFACE ${${name}_INCLUDE})
endfunction()

hashwood_find(lmdb lmdb.h lmdb)
hashwood_find(openblas cblas.h openblas)
hashwood_find(lapacke lapacke.h lapacke)
hashwood_find(roaring roaring/roaring.h roaring)
hashwood_find(libxxhash xxhash.h xxhash)
hashwood_find(libzstd zstd.h zstd)
hashwood_find(simdjson simdjson.h simdjson)

find_package(ZLIB REQUIRED) # reading compressed files of vectors

find_package(HDF5 QUIET COMPONENTS C)
if(HDF5_FOUND)
  add_library(hashwood_hdf5 INTERFACE)
  target_link_libraries(hashwood_hdf5 INTERFACE ${HDF5_C_LIBRARIES})
  target_include_directories(hashwood_hdf5 SYSTEM INTERFACE ${HDF5_C_INCLUDE_DIRS})
  target_compile_definitions(hashwood_hdf5 INTERFACE HAVE_HDF5)
else()
  message(STATUS "HDF5 was not found: the command will not read .hdf5 files")
endif()

add_library(hashwood_libedit INTERFACE)
pkg_check_modules(LIBEDIT QUIET IMPORTED_TARGET libedit)
if(LIBEDIT_FOUND)
  target_link_libraries(hashwood_libedit INTERFACE PkgConfig::LIBEDIT)
  target_compile_definitions(hashwood_libedit INTERFACE HAVE_LIBEDIT)
else()
  message(STATUS "libedit was not found: the shell will have no line editing")
endif()

# The server: HTTP, its configuration file, signatures of tokens and certificates.
option(HASHWOOD_SERVER "build `hashwood serve`" ON)
if(HASHWOOD_SERVER)
  pkg_check_modules(SERVER QUIET IMPORTED_TARGET libmicrohttpd>=0.9.73 yaml-0.1 gnutls)
  if(NOT SERVER_FOUND)
    message(STATUS "libmicrohttpd, libyaml or GnuTLS was not found: `hashwood serve` will not be built")
    set(HASHWOOD_SERVER OFF)
  endif()
endif()

# Vectors from files: decoders of pictures and sounds. ONNX Runtime is opened at run time.
option(HASHWOOD_EMBEDDING "build `hashwood embed`" ON)
if(HASHWOOD_EMBEDDING)
  pkg_check_modules(EMBEDDING QUIET IMPORTED_TARGET libjpeg libpng libwebp libwebpdemux libexif
                    sndfile samplerate kissfft-float)
  if(NOT EMBEDDING_FOUND)
    message(STATUS "a decoder of pictures or sounds was not found: `hashwood embed` will not be built")
    set(HASHWOOD_EMBEDDING OFF)
  endif()
endif()
