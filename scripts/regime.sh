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
. "$(dirname "$0")/common.sh"
cd "$root"
case ${1:-} in
  '' | -*) usage >&2; exit 2 ;;
  run | */*) regime= ;; # the frame of them all
  *) regime=tests/regime/$1.lua ;;
esac
[ -f "$regime" ] || { echo "regime.sh: '$1' is no regime of tests/regime" >&2; exit 2; }

build double perilune
exec build-double/perilune tests/regime/run.lua "$@"
