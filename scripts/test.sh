#!/usr/bin/env bash
# test.sh [--bless] [FILTER]: everything from a fresh clone to ctest's summary.
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"

bless=0
if [ "${1:-}" = --bless ]; then
  bless=1
  shift
fi
filter="${1:-}"

run_ctest() {
  ctest --test-dir "$build" -j "$(nproc)" --output-on-failure --no-tests=error "$@" 2>&1 | tee "$build/ctest.log"
}

# Narrows to tests whose own name holds the filter, in the binaries that have one.
run_matching() {
  local binary names=()
  for binary in "$build"/bin/*_test; do
    if GTEST_FILTER="*$1*" "$binary" --gtest_list_tests 2>/dev/null | grep -q '^  '; then
      names+=("$(basename "$binary" _test)")
    fi
  done
  [ ${#names[@]} -gt 0 ] || die "no test binary and no test is named like '$1'"
  GTEST_FILTER="*$1*" run_ctest -R "^($(IFS='|' && echo "${names[*]}"))\$"
}

"$root/scripts/setup.sh"
"$root/scripts/build.sh" release
"$root/scripts/models.sh"

if [ "$bless" -eq 1 ]; then
  FXQ_BLESS=1 run_ctest ${filter:+-R "$filter"}
  git -C "$root" diff --stat -- tests/golden
elif [ -z "$filter" ]; then
  run_ctest
elif ctest --test-dir "$build" -N -R "^$filter\$" | grep -q 'Total Tests: [1-9]'; then
  run_ctest -R "^$filter\$"
else
  run_matching "$filter"
fi
