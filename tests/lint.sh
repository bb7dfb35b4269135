#!/bin/sh
# luacheck over all Lua files of the tree, as .luacheckrc says.
# The last line is `N passed, N failed`: files without and with a warning. Skipped without luacheck.
set -u
cd "$(dirname "$0")/.."
command -v luacheck >/dev/null || { echo "skipped: luacheck is not there"; exit 77; }
report=$(luacheck --no-color --codes --formatter plain .)
status=$?
[ -z "$report" ] || echo "$report"
[ $status -le 1 ] || { echo "luacheck failed with status $status"; echo "0 passed, 1 failed"; exit 1; }
bad=$(echo "$report" | cut -d: -f1 | sort -u | grep -c .)
all=$(find . -name '*.lua' -not -path './build*' | wc -l)
echo "$((all - bad)) passed, $bad failed"
[ "$bad" = 0 ]
