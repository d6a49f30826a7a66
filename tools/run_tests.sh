#!/usr/bin/env bash
# Runs the tests of a build folder and ends with one line: N passed, N failed, N skipped.
# run_tests.sh BUILD [ctest options]. With TALLY=FILE, "passed failed skipped" is added to it as well.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1

build=$1
shift
report=$(mktemp)
trap 'rm -f "$report"' EXIT

# BLAS brings its own threads; the sanitizers do not know their locks, and tests run side by side.
export OPENBLAS_NUM_THREADS=${OPENBLAS_NUM_THREADS:-1}
ctest --test-dir "$build" --output-on-failure --no-tests=error --output-junit "$report" "$@"
ctest_status=$?

# One "outcome name" a line. CTest calls a test whose program was never built "notrun", as it does
# one that asked to be skipped; only the second is a skip.
outcomes=$(awk '
    /<testcase /                       { name = $0; sub(/.*<testcase name="/, "", name)
                                         sub(/".*/, "", name); outcome = "failed"
                                         if (/status="run"/) outcome = "passed" }
    /<skipped message="SKIP_RETURN_/   { outcome = "skipped" }
    /<\/testcase>/                     { print outcome, name }' "$report")
names() { sed -n "s/^$1 //p" <<<"$outcomes"; }
count() { names "$1" | grep -c . || true; }

passed=$(count passed) failed=$(count failed) skipped=$(count skipped)
if [ "$failed" -eq 0 ] && [ "$ctest_status" -ne 0 ]; then failed=1; fi # ctest itself went wrong

[ "$skipped" -gt 0 ] && echo "skipped:" && names skipped | sed 's/^/  /'
[ "$failed" -gt 0 ] && echo "failed:" && names failed | sed 's/^/  /'
[ -n "${TALLY:-}" ] && echo "$passed $failed $skipped" >>"$TALLY"
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
