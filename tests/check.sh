# check.sh: counting, for the shell tests. They read it with $work set, a folder of their own.

passed=0 failed=0

# check WHAT COMMAND...: the command must succeed; what it printed is shown if it does not.
check() {
  what=$1
  shift
  if "$@" >"$work/said" 2>&1; then
    passed=$((passed + 1))
  else
    failed=$((failed + 1))
    echo "not ok: $what"
    tail -n 20 "$work/said" | sed 's/^/    /'
  fi
}

# The last line; the status says whether all passed.
count() {
  echo "$passed passed, $failed failed"
  [ "$failed" = 0 ]
}
