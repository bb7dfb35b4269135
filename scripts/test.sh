#!/bin/sh
# Installs what is missing, builds Perilune in five ways, and runs the tests that are registered in
# tests/meson.build: all of them on the first build, those that depend on a build on the next two.
#   float    as it is used, in build-float
#   double   where gradients of every op are checked to second order
#   asan     with the address, undefined-behaviour and leak sanitizers
#   tsan     hosts on several threads with the thread sanitizer, which does not understand gcc's OpenMP
#   clang    by another compiler, whose warnings are errors too, and by its analyser
# The last line is `N passed, N failed`. The tests need no download; those on real data run
# when $PERILUNE_DATA names the folder that has them, and ONNX files in onnxruntime where PyPI can be
# reached (or $PERILUNE_PYTHON has it).
#
# usage: scripts/test.sh [-k] [part...]   parts: float double asan tsan clang, all by default;
#                                         -k: do not install anything; -h: print this
set -u
. "$(dirname "$0")/common.sh"
cd "$root"

install=yes
while getopts k option; do
  case $option in
    k) install= ;;
    *) usage >&2; exit 2 ;;
  esac
done
shift $((OPTIND - 1))
[ $# -gt 0 ] || set -- float double asan tsan clang
for part in "$@"; do
  case $part in
    float | double | asan | tsan | clang) ;;
    *) echo "test.sh: '$part'; float, double, asan, tsan or clang expected" >&2; exit 2 ;;
  esac
done
[ -z "$install" ] || scripts/install.sh test || exit 1

passed=0
failed=0
log=$(mktemp)
trap 'rm -f "$log"' EXIT

# row NAME PASSED FAILED STARTED
row() {
  passed=$((passed + $2))
  failed=$((failed + $3))
  printf '%-34s %4d passed, %d failed %6d s\n' "$1" "$2" "$3" $(($(date +%s) - $4))
}

# check NAME COMMAND...: one test, which passes with status 0
check() {
  name=$1 started=$(date +%s)
  shift
  if "$@" >"$log" 2>&1; then
    row "$name" 1 0 "$started"
  else
    row "$name" 0 1 "$started"
    { grep -E 'error|warning|FAILED' -A 5 "$log" || tail -n 20 "$log"; } | head -n 60 | sed 's/^/    /'
  fi
}

# tests PART [SUITE...]: all suites by default; the last line of the tally is added up, not shown
tests() {
  started=$(date +%s) part=$1
  shift
  scripts/tally.py "build-$part" "$@" | tee "$log" | sed '$d'
  set -- $(sed -n '$s/^\([0-9]*\) passed, \([0-9]*\) failed$/\1 \2/p' "$log")
  row "build-$part, all" "${1:-0}" "${2:-1}" "$started"
}

# A Python with onnxruntime below the build folder, unless there is one; goes on without.
onnxruntime() {
  "${PERILUNE_PYTHON:-python3}" -c 'import onnx, onnxruntime' 2>/dev/null && return
  [ -n "$install" ] && [ ! -d "$1/python" ] || return
  python3 -m venv "$1/python" >"$log" 2>&1 &&
    timeout 180 "$1/python/bin/pip" install --quiet --retries 1 --timeout 10 onnx onnxruntime \
      >"$log" 2>&1 || echo "onnxruntime cannot be installed; its test is skipped"
}

c_files() { find include src tests examples -name '*.[ch]'; }

for part in "$@"; do
  case $part in
    float)
      check build-float build float
      onnxruntime build-float
      tests float
      ;;
    double)
      check build-double build double
      tests double c lua program embedding
      ;;
    asan)
      check build-asan build asan
      tests asan c lua program embedding
      ;;
    tsan)
      CC=clang check build-tsan build tsan on_threads
      export TSAN_OPTIONS=suppressions=tests/races.txt:ignore_noninstrumented_modules=1:die_after_fork=0
      check "hosts, thread sanitizer" env OMP_NUM_THREADS=1 build-tsan/tests/hosts
      check "tensors between hosts, thread sanitizer" env OMP_NUM_THREADS=1 build-tsan/tests/border
      check "ops, thread sanitizer" env OMP_NUM_THREADS=1 build-tsan/tests/ops build-tsan/tests
      check "pictures in threads, thread sanitizer" env OMP_NUM_THREADS=1 build-tsan/tests/loading
      check "hostile hosts, thread sanitizer" env OMP_THREAD_LIMIT=1 build-tsan/tests/hostile
      unset TSAN_OPTIONS
      ;;
    clang)
      CC=clang check build-clang build clang
      check "layout of the C files" sh -c 'clang-format --dry-run --Werror "$@"' - $(c_files)
      check clang-tidy sh -c \
        'find src -name "*.c" | xargs -P "$(nproc)" -n 8 clang-tidy --quiet -p build-clang'
      ;;
  esac
done

echo "$passed passed, $failed failed"
[ $failed = 0 ]
