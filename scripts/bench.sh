#!/usr/bin/env bash
# bench.sh [PROGRAM [ARG...]]: builds and runs one program of bench/, or all of them without arguments.
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"

programs=()
for source in bench/*.cc; do programs+=("$(basename "$source" .cc)"); done
if [ $# -gt 0 ]; then
  [ -f "bench/$1.cc" ] || die "no benchmark '$1'; there are: ${programs[*]}"
  programs=("$1")
  shift
fi
"$root/scripts/build.sh" release
for program in "${programs[@]}"; do
  say "== $program $*"
  "$build/bin/$program" "$@"
done
