#!/bin/sh
# Installs into a temporary folder and uses it as if that were the root of the system: every tool
# searches its own default places, below the folder. tests/embed/installed.sh BUILD
set -u
root=$(mktemp -d)
work=$root
trap 'rm -rf "$root"' EXIT
usr=$root/usr/local
. tests/check.sh
PATH=$PATH:/usr/sbin:/sbin

# below SEPARATOR LIST: the absolute paths of the list, below the folder
below() { printf '%s\n' "$2" | tr "$1" '\n' | sed -n "s|^/|$root/|p" | paste -s -d "$1" -; }
equal() { [ "$1" = "$2" ] || { echo "'$1', expected '$2'" >&2; false; }; }
libs() { echo $(pkg-config "$@" --libs perilune); }
compile() { gcc -Wall -Wextra -Werror tests/embed/embed.c -o "$root/$1" $(pkg-config --cflags perilune) $2; }

unset LUA_CPATH_5_4
LUA_CPATH=$(below ';' "$(env -u LUA_CPATH lua5.4 -e 'print(package.cpath)')")
PKG_CONFIG_PATH=$(below : "$(pkg-config --variable pc_path pkg-config)")
PKG_CONFIG_SYSROOT_DIR=$root
LD_LIBRARY_PATH=$(below : "$(ldconfig -N -X -v 2>/dev/null | sed -n 's|^\(/[^:]*\):.*|\1|p' | paste -s -d : -)")
export LUA_CPATH PKG_CONFIG_PATH PKG_CONFIG_SYSROOT_DIR LD_LIBRARY_PATH

check "it installs" env DESTDIR="$root" meson install -C "$1" --no-rebuild --quiet
check "a program needs one library" equal "$(libs)" "-L$usr/lib -lperilune"
check "and can be compiled" compile embed "$(libs)"
check "and runs" equal "$("$root/embed")" "1 passed, 0 failed"
check "a stock Lua finds the module" \
  equal "$(cd "$root" && lua5.4 -e 'print(#require "perilune".ones(3))')" 3
check "a library of ops can be compiled" \
  gcc -Wall -Wextra -Werror -shared -fPIC examples/embed/plugin_op.c -o "$root/libmine.so" $(pkg-config --cflags perilune)
check "and the installed program loads it" \
  equal "$(LIB=$root/libmine.so "$usr/bin/perilune" -e 'print(pl.load_ops(os.getenv "LIB")[1])' 2>&1)" mine.squash
rm "$usr"/lib/libperilune.so*
check "a static program names no library twice" equal "$(libs --static | tr ' ' '\n' | sort | uniq -d)" ""
check "and can be compiled" compile static "$(libs --static)"
check "and runs" equal "$("$root/static")" "1 passed, 0 failed"
check "the program needs nothing beside it" \
  equal "$(cd "$root" && "$usr/bin/perilune" -e 'print(pl.nn.Linear(2, 3))')" "Linear(2, 3)  bias [3], weight [3,2]"
count
