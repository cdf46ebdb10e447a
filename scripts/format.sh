#!/usr/bin/env bash
# format.sh --write | --check: clang-format on all C++ sources, shellcheck on scripts if it is there.
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"

mapfile -t files < <(sources | grep -E '\.(cc|h)$')
case "${1:-}" in
  --write) clang-format -i "${files[@]}" ;;
  --check) clang-format --dry-run -Werror "${files[@]}" ;;
  *) die "format.sh --write | --check" ;;
esac
if command -v shellcheck >/dev/null; then
  shellcheck -x -P SCRIPTDIR dev .ci/run scripts/*.sh
fi
