#!/bin/sh
# Perilune beside PyTorch, in turn on the same machine, and the ratio of samples per second.
#
# usage: bench/compare.sh [-n ROUNDS] [-s SECONDS] [-t THREADS] [NAME...]
#
# Each round times, for each workload: PyTorch, PyTorch with an allocator that gives no memory
# back (often faster), and Perilune. The peer is the faster of the two. Printed are medians
# over the rounds and, in brackets, the lowest and highest ratio of a round.
# $PERILUNE is the program (build/perilune), $PYTHON the Python that has torch (python3).
set -eu
cd "$(dirname "$0")/.."
rounds=7 seconds=3 threads=2
while getopts n:s:t: option; do
  case $option in
    n) rounds=$OPTARG ;;
    s) seconds=$OPTARG ;;
    t) threads=$OPTARG ;;
    *) exit 2 ;;
  esac
done
shift $((OPTIND - 1))
[ $# -gt 0 ] || set -- lenet lenet-bn lenet-drop
perilune=${PERILUNE:-build/perilune}
python=${PYTHON:-python3}
export OMP_NUM_THREADS="$threads"
keep=glibc.malloc.mmap_threshold=1073741824:glibc.malloc.trim_threshold=4294967296
times=$(mktemp)
trap 'rm -f "$times"' EXIT

# note WHO ROUND COMMAND...: adds "name who round samples-per-second rss" lines
note() {
  who=$1 round=$2
  shift 2
  "$@" | awk -v who="$who" -v round="$round" '/samples\/s/ { print $1, who, round, $4, $(NF-1) }' >>"$times"
}

for round in $(seq "$rounds"); do
  for name in "$@"; do
    note peer "$round" "$python" bench/peer.py --threads "$threads" --seconds "$seconds" "$name"
    note kept "$round" env GLIBC_TUNABLES="$keep" "$python" bench/peer.py --threads "$threads" \
      --seconds "$seconds" "$name"
    note ours "$round" "$perilune" bench/run.lua --threads "$threads" --seconds "$seconds" "$name"
  done
done

printf '%-12s %12s %12s %12s  %s\n' workload PyTorch 'PyTorch kept' Perilune 'ratio to the faster'
awk -v names="$*" '
  function median(list, n,   i, j, t) {
    for (i = 2; i <= n; i++)
      for (j = i; j > 1 && list[j] < list[j-1]; j--) { t = list[j]; list[j] = list[j-1]; list[j-1] = t }
    return n % 2 ? list[(n+1)/2] : (list[n/2] + list[n/2+1]) / 2
  }
  { rate[$1, $2, $3] = $4; rss[$1, $2] = $5; if ($3 > rounds) rounds = $3 }
  END {
    n = split(names, order, " ")
    for (k = 1; k <= n; k++) {
      name = order[k]
      for (r = 1; r <= rounds; r++) {
        a[r] = rate[name, "peer", r]; b[r] = rate[name, "kept", r]; c[r] = rate[name, "ours", r]
        best = a[r] > b[r] ? a[r] : b[r]
        q[r] = c[r] / best
      }
      ma = median(a, rounds); mb = median(b, rounds); mc = median(c, rounds); mq = median(q, rounds)
      printf "%-12s %12.0f %12.0f %12.0f  %5.2f [%.2f, %.2f]   %d against %d MiB\n", name, ma, mb, mc, mq,
        q[1], q[rounds], rss[name, "ours"], rss[name, "peer"]
    }
  }' "$times"
