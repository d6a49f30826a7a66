#!/usr/bin/env bash
# lint.sh fmt: lays out all sources. lint.sh check: reports what is wrong with them, all of it,
# before it fails. Needs a configured build/ for clang-tidy's compile commands.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1

mapfile -t sources < <(git ls-files -co --exclude-standard -- '*.c' '*.h' '*.cpp')
if [ "${1:-check}" = fmt ]; then
    clang-format -i "${sources[@]}"
    exit
fi

failed=0
run() { # run TITLE COMMAND...
    local title=$1
    shift
    echo "== $title"
    "$@" || failed=1
}

jobs=$(nproc 2>/dev/null || echo 2)
tidy_sources() {
    printf '%s\n' "${sources[@]}" | grep -E '^src/.*\.(c|cpp)$' | grep -v '/neon' |
        xargs -P "$jobs" -n 4 clang-tidy -p build --quiet 2>/dev/null
}

run "clang-format" clang-format --dry-run -Werror "${sources[@]}"
run "tools/tidy" tools/tidy
# Suppressed: it does not follow arrays filled in part, `p = alloc(), q = p + n` before `if (!p)`, or
# the same bytes read as another type on purpose; the compilers and sanitizers watch those.
run "cppcheck" cppcheck --quiet -j "$jobs" --std=c11 --language=c -Iinclude -Isrc -D_GNU_SOURCE \
    --enable=warning,performance,portability --inline-suppr --error-exitcode=1 \
    --suppress=missingIncludeSystem --suppress=unmatchedSuppression \
    --suppress=preprocessorErrorDirective --suppress=uninitvar --suppress=legacyUninitvar \
    --suppress=nullPointerArithmetic{,OutOfMemory,RedundantCheck} --suppress=invalidPointerCast \
    --suppress='*:src/base/json_shim.cpp' src examples
run "clang-tidy" tidy_sources
[ "$failed" -eq 0 ] && echo "all clean"
exit "$failed"
