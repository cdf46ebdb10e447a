#!/usr/bin/env bash
# tidy.sh [BASE]: clang-tidy on the .cc files that differ from BASE (default: the main branch, or the
# last commit when on it). Uses the clang build's compile commands: same flags, its own headers.
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
[ -f "$build/clang/compile_commands.json" ] || cmake --preset clang >/dev/null
printf '%s\n' "${files[@]}" |
  xargs -P "$(jobs)" -n 1 clang-tidy --quiet -p "$build/clang" --warnings-as-errors='*'
