#!/bin/sh
# A small project that has Perilune as a Meson subproject, built with -Dminimal=true: it compiles and
# runs, is installed, and serves other programs, shared and static.
# tests/embed/subproject.sh COMPILER...
set -u
tree=$PWD
CC="$*"
export CC
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
. tests/check.sh
equal() { [ "$1" = "$2" ] || { echo "'$1', expected '$2'" >&2; false; }; }
script() { "$root/usr/bin/perilune" -e "$1"; }
says() { script "$1" 2>&1 | grep -q -F "$2"; }

mkdir -p "$work/game/subprojects"
ln -s "$tree" "$work/game/subprojects/perilune"
cp tests/embed/embed.c "$work/game/game.c"
cat >"$work/game/meson.build" <<'END'
project('game', 'c', default_options: ['default_library=static', 'buildtype=release'])
perilune = dependency('perilune', version: '>=0.2', fallback: ['perilune', 'perilune_dep'])
game = executable('game', 'game.c', dependencies: perilune)
executable('again', 'game.c', dependencies: dependency('perilune'))
test('game', game)
END
cd "$work/game" || exit 1
check "it is configured" \
  meson setup build --prefix /usr --libdir lib --force-fallback-for=perilune -Dperilune:minimal=true
check "it compiles" ninja -C build
check "it runs" meson test -C build
check "so does what names no fallback" equal "$(build/again)" "1 passed, 0 failed"

root=$work/root
check "it installs" env DESTDIR="$root" meson install -C build --no-rebuild --quiet
cd "$tree" || exit 1
PKG_CONFIG_PATH=$root/usr/lib/pkgconfig PKG_CONFIG_SYSROOT_DIR=$root LD_LIBRARY_PATH=$root/usr/lib
export PKG_CONFIG_PATH PKG_CONFIG_SYSROOT_DIR LD_LIBRARY_PATH
# loads LIBRARY: whether what was installed loads it
loads() { ldd "$root/usr/lib/libperilune.so" "$root/usr/bin/perilune" | grep -q "$1"; }
for library in cairo png jpeg svm edit; do check "nothing loads $library" eval "! loads lib$library"; done
check "the program says what is missing" eval "'$root/usr/bin/perilune' --version | grep -q minimal=true"
check "plots say so" says "pl.plot.figure():pixels()" "without Cairo (-Dminimal=true)"
printf '\211PNG\r\n\032\n' >x.png
printf '\377\330\377' >x.jpg
check "PNG files too" says "assert(pl.image.read 'x.png')" "x.png: this library was built without libpng"
check "JPEG files too" says "assert(pl.image.read 'x.jpg')" "x.jpg: this library was built without libjpeg"
check "support vector machines too" \
  says "pl.learn.svm.fit(pl.randn(2, 2), pl.tensor {1, 2, dtype = 'int32'})" "without LIBSVM"
check "all else works" "$root/usr/bin/perilune" tests/lua/run.lua test_conv.lua test_nn.lua test_optim.lua \
  test_recurrent.lua test_data.lua test_store.lua test_linalg.lua test_experiment.lua

for link in shared static; do
  [ $link = shared ] || rm "$root"/usr/lib/libperilune.so*
  flags=$(pkg-config $([ $link = shared ] || echo --static) --cflags --libs perilune)
  for program in embed interface; do
    check "$program, $link, can be compiled" gcc tests/embed/$program.c -o "$work/$program" $flags \
      $([ $program = embed ] || env -u PKG_CONFIG_SYSROOT_DIR pkg-config --cflags --libs lua5.4)
    check "and runs" eval "'$work/$program' | grep -q ' 0 failed'"
  done
done
count
