#!/usr/bin/env bash
# An installed hashwood can be used: from pkg-config and from CMake, from C and from C++, after the
# tree was moved; the library exports hw_* and nothing else; the command, man pages and headers are
# in their places.
set -euo pipefail
: "${HASHWOOD_BUILD:?}" "${HASHWOOD_SOURCE:?}" "${CC:=cc}" "${CXX:=c++}"
if [ -n "${HASHWOOD_SANITIZE:-}" ]; then
    echo "skipped: a sanitized library needs a sanitized program"
    exit 77
fi
command -v pkg-config >/dev/null || { echo "skipped: no pkg-config" && exit 77; }

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fail() { echo "failed: $*" >&2 && exit 1; }

cmake --install "$HASHWOOD_BUILD" --prefix "$work/first" >"$work/log" || fail "$(cat "$work/log")"
mv "$work/first" "$work/prefix" # nothing may remember where it was installed
prefix=$work/prefix
libdir=$(dirname "$(find "$prefix" -name 'libhashwood.so.0')")

cat >"$work/user.c" <<'C'
#include <hashwood/hashwood.h>
#include <stdio.h>
#include <string.h>

int
main(void)
{
    hw_db *db;
    hw_collection *c;
    hw_result *r;
    hw_error err;
    hw_id id = HW_ID_U64(7);
    float v[3] = {1, 2, 3};
    hw_query q = HW_QUERY_INIT;
    q.vector = v;
    q.dim = 3;
    if (strcmp(hw_version(), HW_VERSION_STRING) != 0) return 1;
    if (hw_db_open("mem:", NULL, &db, &err) != HW_OK) return puts(err.message), 2;
    if (hw_collection_create(db, "x", "{\"dim\": 3, \"metric\": \"l2\"}", &err) != HW_OK)
        return puts(err.message), 3;
    if (hw_collection_open(db, "x", &c, &err) != HW_OK) return puts(err.message), 4;
    if (hw_collection_upsert(c, &id, v, 1, NULL, &err) != HW_OK) return puts(err.message), 5;
    if (hw_collection_search(c, &q, &r, &err) != HW_OK) return puts(err.message), 6;
    if (hw_result_count(r) != 1 || hw_result_ids(r)[0].as.u64 != 7) return 7;
    hw_result_free(r);
    hw_collection_close(c);
    hw_db_close(db);
    return 0;
}
C
cp "$work/user.c" "$work/user.cpp"

export PKG_CONFIG_PATH=$libdir/pkgconfig
version=$(pkg-config --modversion hashwood)
# shellcheck disable=SC2046 # flags are words
"$CC" -std=c11 -Wall -Wextra -Werror "$work/user.c" -o "$work/from_c" \
    $(pkg-config --cflags --libs hashwood) -Wl,-rpath,"$libdir"
# shellcheck disable=SC2046
"$CXX" -std=c++11 -Wall -Wextra -Werror "$work/user.cpp" -o "$work/from_cpp" \
    $(pkg-config --cflags --libs hashwood) -Wl,-rpath,"$libdir"
"$work/from_c" || fail "the C program ended with $?"
"$work/from_cpp" || fail "the C++ program ended with $?"

mkdir "$work/project"
cat >"$work/project/CMakeLists.txt" <<'CMAKE'
cmake_minimum_required(VERSION 3.22)
project(user C)
find_package(hashwood 0.1 REQUIRED)
add_executable(user ../user.c)
target_link_libraries(user PRIVATE hashwood::hashwood)
CMAKE
cmake -S "$work/project" -B "$work/project/build" -DCMAKE_PREFIX_PATH="$prefix" \
    -DCMAKE_C_COMPILER="$CC" >"$work/log" 2>&1 || fail "$(cat "$work/log")"
cmake --build "$work/project/build" >"$work/log" 2>&1 || fail "$(cat "$work/log")"
"$work/project/build/user" || fail "the CMake project's program ended with $?"

strangers=$(nm -D --defined-only "$libdir/libhashwood.so.0" |
    awk '{sub(/@.*/, "", $3)} $3 !~ /^hw_/ && $3 != "HASHWOOD_0" {print $3}')
[ -z "$strangers" ] || fail "exported without hw_: $strangers"
declared=$(grep -ohE 'HW_API [^;(]*\bhw_[a-z0-9_]+\(' "$prefix"/include/hashwood/*.h |
    grep -oE 'hw_[a-z0-9_]+\($' | tr -d '(' | sort -u)
missing=$(comm -23 <(echo "$declared") <(nm -D --defined-only "$libdir/libhashwood.so.0" |
    awk '{sub(/@.*/, "", $3); print $3}' | sort -u))
[ -z "$missing" ] || fail "declared but not exported: $missing"
soname=$(objdump -p "$libdir/libhashwood.so.0" | sed -nE 's/^ *SONAME *//p')
[ "$soname" = libhashwood.so.0 ] || fail "wrong soname: $soname"

"$prefix/bin/hashwood" --version | grep -qF "$version" || fail "the command does not run or tell its version"
[ -f "$prefix/share/man/man1/hashwood.1" ] || fail "no man page of the command"
for page in "$HASHWOOD_SOURCE"/docs/man/*.[135]; do
    [ -f "$prefix/share/man/man${page##*.}/${page##*/}" ] || fail "${page##*/} is not installed"
done
[ -f "$prefix/share/bash-completion/completions/hashwood" ] || fail "no completion for bash"
echo "installed $version, used from pkg-config, C++ and CMake"
