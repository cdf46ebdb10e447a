#!/usr/bin/env bash
# build.sh [PRESET [TARGET...]]: configure once, then compile. "release" lives in build/, the others
# in build/PRESET.
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"

preset="${1:-release}"
[ $# -gt 0 ] && shift
"$root/scripts/setup.sh" --no-venv
if [ "$preset" = release ]; then folder="$build"; else folder="$build/$preset"; fi
if [ ! -f "$folder/build.ninja" ]; then
  mkdir -p "$folder"
  cmake --preset "$preset" >"$folder/configure.log" 2>&1 || {
    cat "$folder/configure.log" >&2
    die "CMake could not configure preset '$preset'"
  }
fi
ninja -C "$folder" -j "$(jobs)" "$@"
