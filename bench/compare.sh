#!/bin/sh
# Perilune beside PyTorch, in turn on the same machine, and the ratio of samples per second.
#
# usage: bench/compare.sh [-n ROUNDS] [-s SECONDS] [-t THREADS] [-o FOLDER] [NAME...]
#
# Each round measures what the machine can do (matrix products, memory), how long either takes from
# the start to the end of a script of one line, and then, for each workload: PyTorch, PyTorch with an
# allocator that gives no memory back (often faster), Perilune, and Perilune on one thread. The peer
# is the faster of the two. Printed are medians over the rounds and, in brackets, the lowest and
# highest ratio of a round; -o leaves the table as compare.csv and a chart of it.
# $PERILUNE is the program (build/perilune), $PYTHON the Python that has torch (python3).
set -eu
. "$(dirname "$0")/../scripts/common.sh"
cd "$root"
rounds=7 seconds=3 threads=2 folder=
while getopts n:s:t:o: option; do
  case $option in
    n) rounds=$OPTARG ;;
    s) seconds=$OPTARG ;;
    t) threads=$OPTARG ;;
    o) folder=$OPTARG ;;
    *) usage >&2; exit 2 ;;
  esac
done
shift $((OPTIND - 1))
[ $# -gt 0 ] || set -- lenet lenet-bn lenet-drop lstm lstm-drop gru vae wgan-gp dcgan
perilune=${PERILUNE:-build/perilune}
python=${PYTHON:-python3}
export OMP_NUM_THREADS="$threads"
keep=glibc.malloc.mmap_threshold=1073741824:glibc.malloc.trim_threshold=4294967296
times=$(mktemp)
trap 'rm -f "$times"' EXIT

# note WHO ROUND COMMAND...: adds lines of name, who, round, samples per second, MiB, MFLOP a sample
note() {
  who=$1 round=$2
  shift 2
  "$@" | awk -v who="$who" -v round="$round" \
    '/samples\/s/ { print $1, who, round, $4, $(NF-1), who == "ours" ? $8 : 0 }' >>"$times"
}

# start WHO ROUND COMMAND...: adds a line of how often a second the command could start and end
start() {
  who=$1 round=$2 from=$(date +%s%N)
  shift 2
  "$@" >/dev/null
  echo "$who $round $(($(date +%s%N) - from))" |
    awk '{ print "start", $1, $2, 1e9 / $3, 0, 0 }' >>"$times"
}

for round in $(seq "$rounds"); do
  start ours "$round" "$perilune" -e 'print "hello"'
  start peer "$round" "$python" -c 'import torch; print("hello")'
  note ours "$round" "$perilune" bench/run.lua --threads "$threads" --seconds 1 gemm memory
  for name in "$@"; do
    note peer "$round" "$python" bench/peer.py --threads "$threads" --seconds "$seconds" "$name"
    note kept "$round" env GLIBC_TUNABLES="$keep" "$python" bench/peer.py --threads "$threads" \
      --seconds "$seconds" "$name"
    note ours "$round" "$perilune" bench/run.lua --threads "$threads" --seconds "$seconds" "$name"
    note one "$round" "$perilune" bench/run.lua --threads 1 --seconds "$seconds" "$name"
  done
done
"$perilune" bench/report.lua "$times" "$folder" "$@"
