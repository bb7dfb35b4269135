#!/bin/sh
# Installs into a temporary folder and uses that alone: the C program through pkg-config, the
# program without the source tree, the module of a stock Lua. tests/embed/installed.sh BUILD
set -eu
prefix=$(mktemp -d)
trap 'rm -rf "$prefix"' EXIT
DESTDIR=$prefix meson install -C "$1" --no-rebuild --quiet
usr=$prefix/usr/local
lib=$(dirname "$(find "$usr" -name libperilune.so)")
export PKG_CONFIG_PATH=$lib/pkgconfig PKG_CONFIG_SYSROOT_DIR=$prefix LD_LIBRARY_PATH=$lib

flags=$(pkg-config --cflags --libs perilune)
gcc -Wall -Wextra -Werror tests/embed/embed.c -o "$prefix/embed" $flags
"$prefix/embed" | grep -q '^1 passed'

cd "$prefix"
[ "$("$usr/bin/perilune" -e 'print(pl.nn.Linear(2, 3))')" != '' ]
[ "$(LUA_CPATH="$lib/lua/5.4/?.so" lua5.4 -e 'print(#require("perilune").ones(3))')" = 3 ]
echo '3 passed, 0 failed'
