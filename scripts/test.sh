#!/bin/sh
# Installs what is missing, builds Perilune in four ways, and runs the tests on the first three:
#   build-float    as it is used
#   build-double   where gradients of every op are checked to second order
#   build-asan     with the address, undefined-behaviour and leak sanitizers
#   build-clang    by another compiler, whose warnings are errors too, and by its analyser
# The last line is `N passed, N failed`. The tests need no download; those on real data run
# when $PERILUNE_DATA names the folder that has them.
#
# usage: scripts/test.sh [-k] [part...]   parts: float double asan clang, all by default;
#                                         -k: do not install anything
set -u
cd "$(dirname "$0")/.."
root=$PWD
install=yes
[ "${1:-}" = -k ] && { install=; shift; }
[ $# -gt 0 ] || set -- float double asan clang
[ -z "$install" ] || scripts/install.sh test || exit 1

passed=0
failed=0
logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT

# count NAME COMMAND...: adds what the last line `N passed, N failed` says, or what TAP says;
# a command that fails without such a line is one failure
count() {
  name=$1
  shift
  log=$logs/log
  status=0
  "$@" >"$log" 2>&1 || status=$?
  p=$(sed -n 's/^\([0-9]*\) passed, [0-9]* failed$/\1/p' "$log" | tail -n 1)
  f=$(sed -n 's/^[0-9]* passed, \([0-9]*\) failed$/\1/p' "$log" | tail -n 1)
  if [ -z "$p" ] && grep -q '^1\.\.' "$log"; then
    p=$(grep -c '^ok' "$log")
    f=$(grep -c '^not ok' "$log")
  fi
  if [ -z "$p" ]; then
    if [ $status = 0 ]; then p=1 f=0; else p=0 f=1; fi
  elif [ $status != 0 ] && [ "$f" = 0 ]; then
    f=1
  fi
  passed=$((passed + p))
  failed=$((failed + f))
  printf '%-34s %4d passed, %d failed\n' "$name" "$p" "$f"
  grep -i 'skipped' "$log" | sed 's/^/    /' | head -5
  [ "$f" = 0 ] || sed 's/^/    /' "$log" | tail -n 60
}

# build FOLDER OPTIONS...
build() {
  folder=$1
  shift
  [ -f "$folder/build.ninja" ] || meson setup "$folder" "$@" >"$logs/setup" 2>&1 || {
    cat "$logs/setup"
    return 1
  }
  ninja -C "$folder" >"$logs/ninja" 2>&1 || {
    grep -E 'error|FAILED' -A 5 "$logs/ninja" | head -60
    return 1
  }
}

# run_all FOLDER: every test that needs no particular build
run_all() {
  for test in engine builders io conv kernels learn; do
    count "$1 C $test" env CMOCKA_MESSAGE_OUTPUT=TAP "$1/tests/test_$test"
  done
  count "$1 Lua" "$1/perilune" tests/lua/run.lua
  count "$1 program" python3 tests/cli/test_cli.py "$1/perilune"
  count "$1 embedding" "$1/tests/embed"
  count "$1 older header" "$1/tests/embed_older"
  count "$1 floors" python3 scripts/floors.py --symbols "$1"
}

for part in "$@"; do
  case $part in
    float)
      count "build-float" build build-float
      run_all build-float
      count "build-float other kernels" env PERILUNE_ISA=generic build-float/perilune tests/lua/run.lua \
        test_ops.lua test_gradients.lua
      count "build-float stock Lua" tests/embed/stock.sh build-float
      count "build-float installed" tests/embed/installed.sh build-float
      count "build-float scripts" tests/cli/test_scripts.sh
      count "build-float training" build-float/perilune tests/training/run.lua
      ;;
    double)
      count "build-double" build build-double -Dreal=double
      run_all build-double
      ;;
    asan)
      count "build-asan" build build-asan -Db_sanitize=address,undefined -Dbuildtype=debugoptimized \
        -Db_lundef=false
      export ASAN_OPTIONS=detect_leaks=1:allocator_may_return_null=1
      export LSAN_OPTIONS=suppressions=$root/tests/leaks.txt:print_suppressions=0
      export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
      run_all build-asan
      unset ASAN_OPTIONS LSAN_OPTIONS UBSAN_OPTIONS
      ;;
    clang)
      count "build-clang" env CC=clang sh -c '[ -f build-clang/build.ninja ] ||
        meson setup build-clang >/dev/null; ninja -C build-clang'
      count "layout of the C files" sh -c \
        'clang-format --dry-run --Werror include/*.h $(find src tests -name "*.[ch]")'
      count "clang-tidy" sh -c \
        'find src -name "*.c" | xargs -P "$(nproc)" -n 8 clang-tidy --quiet -p build-clang'
      ;;
    *) echo "test.sh: '$part'; float, double, asan or clang expected" >&2; exit 2 ;;
  esac
done

echo "$passed passed, $failed failed"
[ $failed = 0 ]
