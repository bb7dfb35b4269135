#!/bin/sh
# ONNX files in onnxruntime: exports the networks of the experiments and every op, and compares what
# onnxruntime gives with what Perilune gave. The Python is $PERILUNE_PYTHON, or the one of the virtual
# environment that scripts/test.sh makes, or python3; without onnx and onnxruntime the test is skipped.
#
# usage: tests/onnx/run.sh PERILUNE BUILD; the last line is `N passed, N failed`
set -u
here=$(dirname "$0")
for python in "${PERILUNE_PYTHON:-}" "$2/python/bin/python" python3; do
  if [ -n "$python" ] && "$python" -c 'import onnx, onnxruntime' 2>/dev/null; then
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    "$1" "$here/cases.lua" "$work" && "$python" "$here/check.py" "$work"
    exit
  fi
done
echo "skipped: no onnxruntime"
exit 77
