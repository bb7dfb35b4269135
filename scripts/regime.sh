#!/bin/sh
# Tries random cases of one kind for a time, beyond what the tests have time for.
#
# usage: scripts/regime.sh NAME [--minutes M] [--seed S]
#
# NAME is a file of tests/regime: programs (random programs against finite differences). It prints
# a counter, and for what it finds the line that runs that case again: case k of seed S is the first
# one of seed S + k - 1, and --minutes 0 tries one. Ends after M minutes (5) or at Ctrl-C with
# `N passed, N failed`; the status is 1 if anything was found.
set -eu
cd "$(dirname "$0")/.."
usage() { sed -n '2,/^set/{s/^# \{0,1\}//;/^set/!p;}' scripts/regime.sh; }
case ${1:-} in
  -h | --help) usage; exit ;;
  '' | -*) usage >&2; exit 2 ;;
esac
[ -f "tests/regime/$1.lua" ] || { echo "regime.sh: '$1' is no file of tests/regime" >&2; exit 2; }

[ -f build-double/build.ninja ] || meson setup build-double -Dwerror=true -Dtests=enabled -Dreal=double >/dev/null
ninja -C build-double --quiet perilune
exec build-double/perilune tests/regime/run.lua "$@"
