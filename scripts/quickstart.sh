#!/bin/sh
# From nothing to a trained network: installs what is missing, builds Perilune, looks for
# Fashion-MNIST (and fetches it if it is nowhere), trains LeNet-5 for a few epochs and says
# where the pictures are. Without data, and without a network, it uses drawn stand-ins.
#
# usage: scripts/quickstart.sh
set -eu
. "$(dirname "$0")/common.sh"
cd "$root"
[ $# = 0 ] || { usage >&2; exit 2; }

scripts/install.sh build
[ -f build/build.ninja ] || meson setup build >/dev/null
ninja -C build --quiet

have_data() {
  for folder in "${PERILUNE_DATA:-}" data "${XDG_DATA_HOME:-${HOME:-}/.local/share}/perilune"; do
    [ -n "$folder" ] && [ -f "$folder/fashion-mnist/train-images-idx3-ubyte.gz" ] && return 0
  done
  return 1
}

data=
if ! have_data && ! scripts/fetch-data.sh -d data fashion-mnist; then
  echo
  echo "Fashion-MNIST could not be had: this run uses the drawn stand-in instead of it."
  data='--data synthetic'
fi

out=runs/quickstart-$(date +%Y%m%d-%H%M%S)
build/perilune experiments/lenet5/run.lua $data --variant plain,batch-norm --epochs 3 --seed 1 --out "$out"
echo
echo "The pictures and the table are in $out:"
ls "$out"
