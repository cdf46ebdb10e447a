#!/usr/bin/env bash
# tidy.sh [BASE]: clang-tidy on the .cc files that differ from BASE (default: the main branch, or the
# last commit when on it). Compile commands are those of a clang build without the precompiled header.
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"

base="${1:-}"
if [ -z "$base" ]; then
  base="$(git merge-base HEAD main 2>/dev/null || git rev-parse HEAD)"
  [ "$base" != "$(git rev-parse HEAD)" ] || base="$(git rev-parse HEAD~1)"
fi
mapfile -t files < <(git diff --name-only --diff-filter=d "$base" -- '*.cc')
if [ ${#files[@]} -eq 0 ]; then
  say "tidy: no .cc file differs from $base"
  exit 0
fi
cmake --preset clang -B "$build/tidy" -DCMAKE_DISABLE_PRECOMPILE_HEADERS=ON -DFXQ_UNITY=OFF >/dev/null
printf '%s\n' "${files[@]}" |
  xargs -P "$(jobs)" -n 1 clang-tidy --quiet -p "$build/tidy" --warnings-as-errors='*'
