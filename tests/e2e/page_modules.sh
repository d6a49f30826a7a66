#!/usr/bin/env bash
# The parts of the web page that need no browser: filters, metrics, requests as code.
set -euo pipefail
: "${HASHWOOD_SOURCE:?}"
if ! node -e 'process.exit(parseInt(process.versions.node) < 18 ? 1 : 0)' 2>/dev/null; then
    echo "skipped: node 18 or newer is not installed"
    exit 77
fi
node --test "$HASHWOOD_SOURCE/tests/e2e/page/modules.mjs"
