#!/usr/bin/env bash
# What the documents say holds: README's C lines compile and run, its shell lines run, and every
# link between the documents leads somewhere.
set -euo pipefail
: "${HASHWOOD:?}" "${HASHWOOD_BUILD:?}" "${HASHWOOD_SOURCE:?}" "${CC:=cc}"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fail() { echo "failed: $*" >&2 && exit 1; }
block() { sed -n "/^\`\`\`$1\$/,/^\`\`\`\$/p" "$HASHWOOD_SOURCE/README.md" | grep -v '^```'; }

# ---- links: [words](path#heading), relative to the file they stand in

heading() { # as GitHub names it
    tr '[:upper:]' '[:lower:]' <<<"$1" | sed -E 's/^#+ +//; s/`//g; s/[^a-z0-9 _-]//g; s/ /-/g'
}
cd "$HASHWOOD_SOURCE"
links=0
while IFS= read -r file; do
    while IFS= read -r link; do
        links=$((links + 1))
        path=${link%%#*} anchor=
        [[ $link == *#* ]] && anchor=${link#*#}
        target=$file
        [ -n "$path" ] && target=$(dirname "$file")/$path
        [ -e "$target" ] || fail "$file: $link leads nowhere"
        [ -z "$anchor" ] && continue
        found=no
        while IFS= read -r line; do
            [ "$(heading "$line")" = "$anchor" ] && found=yes && break
        done < <(grep -E '^#+ ' "$target")
        [ "$found" = yes ] || fail "$file: $link: no such heading"
    done < <(sed '/^```/,/^```/d' "$file" | grep -oE '\]\([^)[:space:]]+\)' | sed -E 's/^\]\(//; s/\)$//' |
        grep -vE '^[a-z]+:' || true)
done < <(find . -name '*.md' -not -path './build*' -not -path './.git/*' -not -path '*/node_modules/*')
[ "$links" -gt 30 ] || fail "only $links links were found"

# ---- the shell lines, as they stand

cd "$work"
mkdir bin && ln -s "$HASHWOOD" bin/hashwood
block sh >lines.sh
[ -s lines.sh ] || fail "README has no shell lines"
PATH=$work/bin:$PATH bash -e lines.sh >log 2>&1 || fail "README's shell lines: $(cat log)"
grep -q navy log || fail "README's filtered search did not find navy: $(cat log)"

# ---- the C lines, with a main around them that checks every status

if [ -n "${HASHWOOD_SANITIZE:-}" ]; then
    echo "checked links and shell lines; a sanitized library needs a sanitized program"
    exit 0
fi
{
    cat <<'C'
#include <hashwood/hashwood.h>
#include <stdio.h>

int
main(void)
{
    hw_db *db = NULL;
    hw_collection *photos = NULL;
    hw_result *result = NULL;
    hw_error err = {HW_OK, ""};
    hw_query query = HW_QUERY_INIT;

    query.vector = (float[]){1, 2, 2}, query.dim = 3;
C
    block c | sed -E 's/^(hw_.*);$/    if (\1 != HW_OK) return fprintf(stderr, "%s\\n", err.message), 1;/'
    cat <<'C'
    if (hw_result_count(result) != 1 || hw_result_ids(result)[0].as.u64 != 7) return 2;
    hw_result_free(result);
    hw_collection_close(photos);
    hw_db_close(db);
    return 0;
}
C
} >lines.c
[ "$(grep -c 'return fprintf' lines.c)" -eq 5 ] || fail "README has not five lines of C"
"$CC" -std=c11 -Wall -Wextra -Werror -I"$HASHWOOD_SOURCE/include" lines.c -o lines \
    -L"$HASHWOOD_BUILD" -lhashwood -Wl,-rpath,"$HASHWOOD_BUILD" 2>log || fail "README's C lines: $(cat log)"
./lines || fail "README's C lines do not run: $?"
