#!/bin/sh
# The programs of examples/embed, each for a moment. tests/embed/examples.sh BUILD
set -u
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
. tests/check.sh
build=$1 net=$work/net.safetensors

says() { grep -q "$1" "$work/out"; }
guess() { "$build/tests/guess" examples/embed/opponent.lua "$@" >"$work/out" 2>&1; }
server() { "$build/tests/server" "$@" >"$work/out" 2>&1; }
no_server() { ! server "$@"; }
make_net() {
  "$build/perilune" -e "local nn = pl.nn
    pl.save('$net', nn.Sequential {nn.Flatten(), nn.Linear(784, 32), nn.ReLU(), nn.Linear(32, 10)})"
}
play() { printf 'r\nx\np\nq\n' | guess; }
wins() { guess 120 && awk '/won/ { exit !($4 > $NF) }' "$work/out"; }

check "a game is played" play
check "and counted" says "of 2 are yours"
check "the opponent finds a habit out" wins
check "a network is written" make_net
check "two threads answer from it" server "$net" 2 0.3
check "at a rate" says "2 threads, one network: [1-9][0-9]* answers a second"
check "without a network there is no server" no_server /nowhere
check "and the file is named" says "/nowhere"
cd examples/embed/judge || exit
echo 'function softmax(x) retrun x end' >"$work/typo.lua"
judge() { "$build/tests/judge" task.lua 4 "$@" >"$work/out" 2>&1; }
check "scripts are judged" judge right.lua overflow.lua endless.lua hoarder.lua loud.lua curious.lua deep.lua "$work/typo.lua" none.lua
while read -r script verdict; do check "$script" says "^$script *$verdict"; done <<END
right.lua passed
overflow.lua wrong .*the values are wrong
endless.lua too slow
hoarder.lua too large
loud.lua too loud
curious.lua no file .*cannot open right.lua
deep.lua too deep
.*/typo.lua no Lua
none.lua no file
END
check "and counted" says "^1 of 9 passed"
count
