#!/bin/sh
# Installs, through apt, what is missing of the packages that Perilune is built from.
#
# usage: scripts/install.sh [build|test]
#
# build (the default): what the program needs; test: also what the tests need. On a system
# without apt it says which packages are meant and goes on: the build will name what it
# does not find.
set -eu
. "$(dirname "$0")/common.sh"

needed='gcc meson ninja-build pkg-config python3 liblua5.4-dev libopenblas-openmp-dev libpng-dev
  libjpeg62-turbo-dev zlib1g-dev libcairo2-dev libcjson-dev libsvm-dev libedit-dev fonts-dejavu-core ca-certificates curl'
tests='lua5.4 lua-unit lua-check libcmocka-dev g++ clang clang-format clang-tidy libomp-dev'

packages=$needed
case ${1:-build} in
  build) ;;
  test) packages="$needed $tests" ;;
  *) echo "install.sh: '$1'; build or test expected" >&2; exit 2 ;;
esac

if ! command -v apt-get >/dev/null; then
  echo "install.sh: no apt here; what is needed (Debian's names):" $packages
  exit 0
fi

missing=
for package in $packages; do
  state=$(dpkg-query -W -f '${db:Status-Abbrev}' "$package" 2>/dev/null || true)
  case $state in ii*) ;; *) missing="$missing $package" ;; esac
done
[ -n "$missing" ] || exit 0

root=
if [ "$(id -u)" != 0 ]; then
  command -v sudo >/dev/null || { echo "install.sh: as root: apt-get install$missing" >&2; exit 1; }
  root=sudo
fi
echo "installing:$missing"
$root apt-get update -qq || echo "install.sh: some lists of packages could not be had; going on without them" >&2
$root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
