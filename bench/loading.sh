#!/bin/sh
# Perilune beside PyTorch in reading a folder of small pictures, in turn on the same machine: files per
# second from the folder to the last batch of 64, and the median ratio of the rounds.
#
# usage: bench/loading.sh [-n ROUNDS] [-f FILES] [-w WORKERS] [png|jpg]...
#
# The files are images of Fashion-MNIST ($PERILUNE_DATA/fashion-mnist), 28 x 28, in a folder that is
# removed at the end. $PERILUNE is the program (build/perilune), $PYTHON the Python that has torch and
# torchvision (python3).
set -eu
. "$(dirname "$0")/../scripts/common.sh"
cd "$root"
rounds=3 files=60000 workers=2
while getopts n:f:w: option; do
  case $option in
    n) rounds=$OPTARG ;;
    f) files=$OPTARG ;;
    w) workers=$OPTARG ;;
    *) usage >&2; exit 2 ;;
  esac
done
shift $((OPTIND - 1))
[ $# -gt 0 ] || set -- png jpg
perilune=${PERILUNE:-build/perilune}
python=${PYTHON:-python3}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

for kind in "$@"; do
  "$python" bench/loading.py make "$folder/$kind" "$kind" "$files"
  for round in $(seq "$rounds"); do
    peer=$("$python" bench/loading.py read "$folder/$kind" "$workers")
    ours=$("$perilune" bench/loading.lua "$folder/$kind" "$workers")
    echo "$peer $ours"
  done | awk '{ print $2 / $1, $1, $2 }' | sort -n |
    awk -v kind="$kind" '{ ratio[NR] = $1; peer[NR] = $2; ours[NR] = $3 }
      END { m = int((NR + 1) / 2)
            printf "%s: PyTorch %d, Perilune %d files/s, ratio %.2f [%.2f, %.2f]\n", kind, peer[m],
                   ours[m], ratio[m], ratio[1], ratio[NR] }'
done
