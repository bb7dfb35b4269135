#!/bin/sh
# The scripts for people: scripts/fetch-data.sh against a mirror in a folder (fetches, keeps,
# continues, refuses), scripts/install.sh with another apt, how tests are counted, and the options of
# all of them.
set -u
cd "$(dirname "$0")/../.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
. tests/check.sh
run() {
  "$@" >"$work/log" 2>&1
  status=$?
  cat "$work/log"
  return $status
}
fetch() { run env PERILUNE_DATA_URL="$mirror" scripts/fetch-data.sh "$@"; }
says() { grep -q "$1" "$work/log" || { cat "$work/log"; false; }; }
not() { ! "$@"; }

# The hashes are those of the real files, so a folder of other files must be refused ...
mkdir -p "$work/mirror/fashion-mnist" "$work/mirror/ptb" && mirror=file://$work/mirror
for f in fashion-mnist/train-images-idx3-ubyte.gz ptb/ptb.train.txt; do
  echo "not the data" >"$work/mirror/$f"
done
check "wrong files are refused" not fetch -d "$work/a" fashion-mnist
check "and the message names the file" says "could not get fashion-mnist/train-images"
check "and nothing has its name" not test -e "$work/a/fashion-mnist/train-images-idx3-ubyte.gz"
check "a missing file is refused" not fetch -d "$work/b" ptb
check "after what the set is, and its licence" says "^ptb: 929,589 words .*; licence: derived from"
check "an unknown set is refused" not fetch -d "$work/c" imagenet
check "and named" says "unknown data set 'imagenet'; fashion-mnist, mnist, ptb expected"

# ... and the real ones, where they are at hand, taken.
real=${PERILUNE_DATA:-}
if [ -f "$real/fashion-mnist/t10k-labels-idx1-ubyte.gz" ]; then
  mirror=file://$real
  check "the real files are taken" fetch -d "$work/d" fashion-mnist
  check "as they are" cmp -s "$real/fashion-mnist/train-images-idx3-ubyte.gz" \
    "$work/d/fashion-mnist/train-images-idx3-ubyte.gz"
  head -c 1000 "$real/fashion-mnist/t10k-images-idx3-ubyte.gz" >"$work/d/fashion-mnist/t10k-images-idx3-ubyte.gz.part"
  rm "$work/d/fashion-mnist/t10k-images-idx3-ubyte.gz"
  check "a part is continued" fetch -d "$work/d" fashion-mnist
  check "and what is there kept" says "t10k-labels-idx1-ubyte.gz: already there"
  check "files packed otherwise are right if their content is" fetch -d "$work/d" mnist
else
  echo "skipped: the real files (set PERILUNE_DATA)"
fi

# apt that knows of no package, and cannot have a list: what can be had is installed all the same.
mkdir "$work/bin"
printf '#!/bin/sh\nexit 1\n' >"$work/bin/dpkg-query"
printf '#!/bin/sh\necho 0\n' >"$work/bin/id"
printf '#!/bin/sh\necho "$@" >>"%s"\n[ "$1" != update ]\n' "$work/apt" >"$work/bin/apt-get"
chmod +x "$work"/bin/*
check "it installs without a list" run env PATH="$work/bin:$PATH" scripts/install.sh test
check "and says so" says "some lists of packages could not be had"
check "all that is missing" grep -q "install .* gcc .* lua5.4 " "$work/apt"

# What is counted: what a test says; one that ran nothing failed, unless it was skipped.
mkdir -p "$work/build/meson-logs"
printf '#!/bin/sh\ncp "%s" "$3/meson-logs/testlog.json"\n' "$work/tests" >"$work/bin/meson"
chmod +x "$work/bin/meson"
tally() {
  printf '{"name": "a", "duration": 1, "result": "%s", "stdout": "%s"}\n' "$@" >"$work/tests"
  run env PATH="$work/bin:$PATH" scripts/tally.py "$work/build"
}
check "passed tests are counted" tally OK '3 passed, 0 failed' OK 'ok 1\nok 2' OK ''
check "and all of them" says '^6 passed, 0 failed'
check "failed ones too" not tally FAIL '3 passed, 2 failed' FAIL 'ok 1\nnot ok 2' FAIL ''
check "and a status" says '^4 passed, 4 failed'
check "nothing at all is a failure" not tally OK '0 passed, 0 failed'
check "and counted" says '^0 passed, 1 failed'
check "a skipped test is none" tally OK '1 passed, 0 failed' SKIP 'skipped: no luck'
check "and not counted" says '^1 passed, 0 failed'

# A build that cannot be set up: Meson's words are shown.
mkdir "$work/tree"
cp -r scripts tests "$work/tree"
printf '#!/bin/sh\necho no luck\nexit 1\n' >"$work/bin/meson"
for command in 'test.sh -k float' 'regime.sh programs'; do
  check "$command fails without a build" not run env PATH="$work/bin:$PATH" "$work/tree/scripts/"$command
  check "and says why" says "no luck"
done

for script in scripts/test.sh scripts/regime.sh scripts/fetch-data.sh scripts/install.sh \
  scripts/quickstart.sh bench/compare.sh; do
  for option in -h --help; do
    check "$script prints its usage" run "$script" $option
    check "$script prints its usage" says "^usage: $script"
  done
  check "$script refuses an option" not run "$script" -x
done
check "an unknown part of the tests is refused" not run scripts/test.sh -k float fast
check "and named" says "'fast'; float, double, asan, tsan or clang expected"
for name in nothing run; do
  check "an unknown regime is refused" not run scripts/regime.sh $name
  check "and named" says "'$name' is no regime of tests/regime"
done
count
