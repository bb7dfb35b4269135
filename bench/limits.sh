#!/bin/sh
# What limits cost: each workload, and Lua alone, without limits and with those of bytes and seconds on,
# in turn.
#
# usage: bench/limits.sh [-n ROUNDS] [-s SECONDS] [-t THREADS] [NAME...]
#
# Printed are the medians of samples per second over the rounds, and of the ratio of a round, with its
# lowest and highest. The second of a round runs first in the next, so that neither always has the
# warmer machine. $PERILUNE is the program (build/perilune); with $OTHER, another build of it, its
# samples without limits are compared too.
set -eu
. "$(dirname "$0")/../scripts/common.sh"
cd "$root"
rounds=9 seconds=1 threads=2
while getopts n:s:t: option; do
  case $option in
    n) rounds=$OPTARG ;;
    s) seconds=$OPTARG ;;
    t) threads=$OPTARG ;;
    *) usage >&2; exit 2 ;;
  esac
done
shift $((OPTIND - 1))
[ $# -gt 0 ] || set -- lua lenet lenet-bn lenet-drop lstm lstm-drop gru vae wgan-gp dcgan
perilune=${PERILUNE:-build/perilune}
export OMP_NUM_THREADS="$threads"
times=$(mktemp)
trap 'rm -f "$times"' EXIT

# work NAME PROGRAM [OPTION...]
work() {
  name=$1
  shift
  if [ "$name" = lua ]; then "$@" bench/pure.lua "$seconds"
  else "$@" bench/run.lua --threads "$threads" --seconds "$seconds" "$name"; fi
}

# note WHO ROUND NAME PROGRAM [OPTION...]: adds a line of name, who, round, samples per second
note() {
  who=$1 round=$2
  shift 2
  work "$@" | awk -v who="$who" -v round="$round" '/samples\/s/ { print $1, who, round, $4 }' >>"$times"
}

off() { note off "$1" "$2" "$perilune"; }
on() { note on "$1" "$2" "$perilune" --memory 64G --time 3600; }

for round in $(seq "$rounds"); do
  for name in "$@"; do
    if [ $((round % 2)) = 1 ]; then off "$round" "$name"; on "$round" "$name"
    else on "$round" "$name"; off "$round" "$name"; fi
    [ -z "${OTHER:-}" ] || note other "$round" "$name" "$OTHER"
  done
done

awk '
  function median(list, n,   i, j, t) {
    for (i = 2; i <= n; i++)
      for (j = i; j > 1 && list[j - 1] > list[j]; j--) {
        t = list[j]; list[j] = list[j - 1]; list[j - 1] = t
      }
    return n % 2 ? list[(n + 1) / 2] : (list[n / 2] + list[n / 2 + 1]) / 2
  }
  # The ratio of two in each round of a workload.
  function compare(name, a, b,   i, ratio, n) {
    for (i = 1; i <= rounds; i++)
      if (rate[name, a, i] && rate[name, b, i]) ratio[++n] = rate[name, a, i] / rate[name, b, i]
    if (!n) return ""
    middle = median(ratio, n)
    return sprintf("%.3f [%.3f, %.3f]", middle, ratio[1], ratio[n])
  }
  function usual(name, who,   i, list, n) {
    for (i = 1; i <= rounds; i++) if (rate[name, who, i]) list[++n] = rate[name, who, i]
    return n ? median(list, n) : 0
  }
  { if (!seen[$1]++) names[++count] = $1
    rate[$1, $2, $3] = $4
    if ($3 > rounds) rounds = $3
    if ($2 == "other") other = 1 }
  END {
    printf "| workload | limits off | on | on to off |%s\n", other ? " off to the other build |" : ""
    printf "|---|---|---|---|%s\n", other ? "---|" : ""
    for (k = 1; k <= count; k++)
      printf "| %s | %.0f | %.0f | %s |%s\n", names[k], usual(names[k], "off"), usual(names[k], "on"),
        compare(names[k], "on", "off"), other ? " " compare(names[k], "off", "other") " |" : ""
  }' "$times"
