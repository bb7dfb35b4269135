#!/bin/sh
# Fetches data sets and checks them by SHA-256: Fashion-MNIST, MNIST, the Penn Treebank text.
#
# usage: scripts/fetch-data.sh [-d DIR] [fashion-mnist] [mnist] [ptb]   all by default
#
# The files go to DIR, else $PERILUNE_DATA, else the folder data of the source tree. What is
# there and right is kept; what was cut off is continued; no file has its name before its
# hash is right. PERILUNE_DATA_URL names another place to fetch from, which has a folder for each
# set, for instance a mirror as file:///srv/mirror. The sets, their places and hashes stand in
# lua/perilune/data/sets.lua.
set -eu
. "$(dirname "$0")/common.sh"

folder=${PERILUNE_DATA:-$root/data}

# Lines `name SET`, `what SET TEXT`, `licence SET TEXT`, `url SET URL`, `file SET HASH FILE`.
rows=$(awk -F '"' '
  /^ *\{?name = "/ { set = $2; print "name", set }
  { for (i = 1; i < NF; i++) if (match($i, /(what|licence) = $/)) {
      print substr($i, RSTART, RLENGTH - 3), set, $(i + 1) } }
  /^ *urls = / { urls = 1 }
  /^ *files = / { urls = 0 }
  urls && /^ *"[a-z]+:/ { print "url", set, $2 }
  /^ *\{"[0-9a-f]+", "/ { print "file", set, $2, $4 }' "$root/lua/perilune/data/sets.lua")
names=$(printf '%s\n' "$rows" | sed -n 's/^name //p')

say() { printf '%s\n' "$*"; }
fail() { printf 'fetch-data: %s\n' "$*" >&2; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }

hash_of() {
  if have sha256sum; then sha256sum <"$1"; else shasum -a 256 <"$1"; fi | cut -d ' ' -f 1
}

# right FILE HASH: the file's own hash, or that of what gzip has packed in it
right() {
  [ "$(hash_of "$1")" = "$2" ] && return 0
  gzip -cd "$1" 2>/dev/null >"$1.plain" || { rm -f "$1.plain"; return 1; }
  content=$(hash_of "$1.plain")
  rm -f "$1.plain"
  [ "$content" = "$2" ]
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
    if right "$part" "$3"; then
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

# of SET KEY: what the rows say of it
of() { printf '%s\n' "$rows" | sed -n "s|^$2 $1 ||p"; }

# urls SET
urls() {
  if [ -n "${PERILUNE_DATA_URL:-}" ]; then
    echo "$PERILUNE_DATA_URL/$1"
  else
    of "$1" url
  fi
}

# get SET HASH FILE
get() {
  target=$folder/$1/$3
  if [ -f "$target" ] && right "$target" "$2"; then
    say "$1/$3: already there"
    return
  fi
  mkdir -p "$(dirname "$target")" || fail "cannot make the folder of $target"
  for url in $(urls "$1"); do
    say "$1/$3: from $url"
    if fetch "$url/$3" "$target" "$2"; then return; fi
  done
  fail "could not get $1/$3 with SHA-256 $2; put it into $folder/$1 by hand, or use --data synthetic"
}

while getopts d: option; do
  case $option in
    d) folder=$OPTARG ;;
    *) usage >&2; exit 2 ;;
  esac
done
shift $((OPTIND - 1))
[ $# -gt 0 ] || set -- $names
for set in "$@"; do
  case " $(echo $names) " in
    *" $set "*) ;;
    *) fail "unknown data set '$set'; $(echo $names | sed 's/ /, /g') expected" ;;
  esac
done
have curl || have wget || fail "neither curl nor wget is installed"
have sha256sum || have shasum || fail "neither sha256sum nor shasum is installed"

for set in "$@"; do
  say "$set: $(of "$set" what); licence: $(of "$set" licence)"
  for line in $(of "$set" file | tr ' ' :); do
    get "$set" "${line%%:*}" "${line#*:}"
  done
done
say "data are in $folder"
