#!/bin/sh
# scripts/fetch-data.sh against a mirror in a folder: fetches, keeps, continues, refuses.
set -u
cd "$(dirname "$0")/../.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
passed=0 failed=0

# check WHAT CONDITION...
check() {
  what=$1
  shift
  if "$@"; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "not ok: $what"; cat "$work/log"; fi
}
fetch() { PERILUNE_FASHION_URL=$mirror PERILUNE_PTB_URL=$mirror scripts/fetch-data.sh "$@" >"$work/log" 2>&1; }
says() { grep -q "$1" "$work/log"; }
not() { ! "$@"; }

# The hashes are those of the real files, so a folder of other files must be refused ...
mkdir -p "$work/mirror" && mirror=file://$work/mirror
for f in train-images-idx3-ubyte.gz train-labels-idx1-ubyte.gz t10k-images-idx3-ubyte.gz \
  t10k-labels-idx1-ubyte.gz ptb.train.txt; do echo "not the data" >"$work/mirror/$f"; done
check "wrong files are refused" not fetch -d "$work/a" fashion-mnist
check "and the message names the file" says "could not get fashion-mnist/train-images"
check "and nothing has its name" not test -e "$work/a/fashion-mnist/train-images-idx3-ubyte.gz"
check "a missing file is refused" not fetch -d "$work/b" ptb
check "an unknown set is refused" not fetch -d "$work/c" mnist
check "and named" says "unknown data set 'mnist'"

# ... and the real ones, where they are at hand, taken.
real=${PERILUNE_DATA:-}
if [ -f "$real/fashion-mnist/t10k-labels-idx1-ubyte.gz" ]; then
  mirror=file://$real/fashion-mnist
  check "the real files are taken" fetch -d "$work/d" fashion-mnist
  check "as they are" cmp -s "$real/fashion-mnist/train-images-idx3-ubyte.gz" \
    "$work/d/fashion-mnist/train-images-idx3-ubyte.gz"
  head -c 1000 "$real/fashion-mnist/t10k-images-idx3-ubyte.gz" >"$work/d/fashion-mnist/t10k-images-idx3-ubyte.gz.part"
  rm "$work/d/fashion-mnist/t10k-images-idx3-ubyte.gz"
  check "a part is continued" fetch -d "$work/d" fashion-mnist
  check "and what is there kept" says "t10k-labels-idx1-ubyte.gz: already there"
else
  echo "skipped: the real files (set PERILUNE_DATA)"
fi
echo "$passed passed, $failed failed"
[ $failed = 0 ]
