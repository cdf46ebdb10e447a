# shellcheck shell=bash
# Sourced by every script here: where the tree is, which Python, how many compile jobs.
set -euo pipefail

root="$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.." && pwd)"
build="$root/build"
venv="$build/venv"
system_python=/usr/bin/python3 # Debian's own: another python3 on PATH does not see Debian's packages
export root build venv system_python
cd "$root"

say() { printf '%s\n' "$*" >&2; }

die() {
  say "dev: $*"
  exit 1
}

# A file that sees LibTorch takes about 1.5 GB to compile, so memory bounds the jobs as cores do.
jobs() {
  local cores by_memory
  cores="$(nproc)"
  by_memory="$(awk '/MemAvailable/ { print int($2 / 1500000) }' /proc/meminfo)"
  [ "$by_memory" -ge 1 ] || by_memory=1
  echo $((cores < by_memory ? cores : by_memory))
}

sources() { git ls-files -co --exclude-standard -- '*.cc' '*.h' '*.def'; }
