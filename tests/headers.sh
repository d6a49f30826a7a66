#!/usr/bin/env bash
# Each header compiles alone: headers.sh c (all of them), headers.sh c++ (the public ones). A header
# that says at its top who it is "Included by" is a template and no header of its own.
set -u
cd "$(dirname "$0")/.." || exit 1
failed=0

check() { # check COMPILER LANGUAGE STANDARD HEADER
    if ! "$1" -x "$2" "-std=$3" -D_GNU_SOURCE -Iinclude -Isrc -Itests -Wall -Wextra -Werror \
        -Wno-unused-function -fsyntax-only "$4"; then
        echo "does not compile alone as $2: $4"
        failed=1
    fi
}

if [ "${1:-c}" = c++ ]; then
    for header in include/hashwood/*.h; do
        for std in c++11 c++17; do check "${CXX:-c++}" c++ "$std" "$header"; done
    done
else
    for header in include/hashwood/*.h $(find src -name '*.h'); do
        head -n 4 "$header" | grep -q 'Included by' || check "${CC:-cc}" c c11 "$header"
    done
fi
exit "$failed"
