#!/usr/bin/env bash
# bench.sh [ARG...]: builds and runs every benchmark program; ARGs go to Google Benchmark.
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"

"$root/scripts/build.sh" release
found=0
for program in "$build"/bin/*_bench; do
  [ -x "$program" ] || continue
  found=1
  say "== $(basename "$program")"
  "$program" "$@"
done
[ "$found" -eq 1 ] || die "no benchmark program in build/bin"
