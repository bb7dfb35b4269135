#!/bin/sh
# Each header by itself, and programs that use their macros, without a warning by every compiler that
# is there, in C and in C++. tests/embed/headers.sh BUILD
set -u
. tests/check.sh
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
strict='-pedantic-errors -Wall -Wextra -Werror'
# The headers of the tree do not say what reals are; installed ones do.
real=$(pkg-config --variable=real "$1/meson-private/perilune.pc")
include="-I include -I $1/include $([ "$real" = float ] || echo -DPL_REAL_IS_DOUBLE)"

# headers COMPILER LANGUAGE STANDARD
headers() {
  for header in perilune.h perilune_host.h perilune_optim.h perilune_ops.h; do
    echo "#include \"$header\"" >"$work/one"
    check "$header by $1 as $3" $1 -x "$2" "-std=$3" $strict $include -fsyntax-only "$work/one"
  done
}

# program COMPILER STANDARD SOURCE
program() {
  check "$3 by $1 as $2" $1 "-std=$2" $strict $include "$3" -o "$work/program" $library
  check "it runs" "$work/program"
}

library="-L $1 -lperilune -Wl,-rpath,$1"
refused() { ! "$@"; }
there() { command -v "$1" >/dev/null; }
for compiler in gcc clang; do
  there $compiler || continue
  headers $compiler c c99
  program $compiler c99 tests/embed/embed.c
done
for compiler in g++ clang++; do
  there $compiler || continue
  for standard in c++11 c++20; do
    headers $compiler c++ $standard
    program $compiler $standard tests/embed/plusplus.cpp
  done
done
if [ "$real" = float ]; then
  check "a program of other reals does not link" refused \
    gcc -DPL_REAL_IS_DOUBLE $include tests/embed/embed.c -o "$work/program" $library
fi
count
