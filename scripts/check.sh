#!/usr/bin/env bash
# What CI runs. Every stage runs even if one before it failed (unless it builds on that one), then a
# table says what each took, and the last line counts the stages.
#   check.sh [STAGE...]   only these stages (after set-up)
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"

stages=(setup style build includes test asan tsan clang install soak fuzz)
declare -A result seconds

stage_setup() { "$root/scripts/setup.sh"; }

stage_style() {
  "$root/scripts/format.sh" --check
  "$root/scripts/check_includes.py"
  "$root/scripts/check_tree.py"
}

stage_build() {
  cmake --preset ci >"$build/configure.log" 2>&1 || {
    cat "$build/configure.log" >&2
    return 1
  }
  "$root/scripts/build.sh" release
}

stage_includes() { "$root/scripts/check_includes.py" "$build"; }

# Random modules for half a minute, whatever the machine manages.
stage_test() { FXQ_RANDOM_SECONDS=30 "$root/scripts/test.sh"; }

# GCC 12's sanitizers need the address layout of kernels that randomise at most 28 bits.
plain_layout() {
  if [ "$(cat /proc/sys/vm/mmap_rnd_bits 2>/dev/null || echo 28)" -le 28 ]; then
    "$@"
  else
    setarch "$(uname -m)" -R "$@"
  fi
}

# Address and undefined-behaviour sanitizers on all that runs without LibTorch.
stage_asan() {
  "$root/scripts/build.sh" asan plain_tests
  ASAN_OPTIONS=detect_stack_use_after_return=1 UBSAN_OPTIONS=print_stacktrace=1 \
    plain_layout ctest --test-dir "$build/asan" -j "$(nproc)" -L plain --output-on-failure --no-tests=error
}

# Threads live in the runtime only. libgomp is not built for TSan, so oneDNN stays on one of its own.
stage_tsan() {
  "$root/scripts/build.sh" tsan runtime_test
  OMP_NUM_THREADS=1 TSAN_OPTIONS=halt_on_error=1 \
    plain_layout ctest --test-dir "$build/tsan" -R '^runtime$' --output-on-failure --no-tests=error
}

stage_clang() { "$root/scripts/build.sh" clang; }

# The README's program, built against an installed package.
stage_install() { "$root/scripts/check_install.sh"; }

# Several callers, changing shapes, a minute: the same bytes, flat memory.
stage_soak() { "$root/scripts/soak.sh" 60; }

# In the clang stage's build, which compiles all that the fuzzers do not test.
stage_fuzz() { "$root/scripts/fuzz.sh" 60; }

run_stage() {
  local start=$SECONDS status=ok
  say ""
  say "=== $1"
  # In its own shell: errexit does not work inside a tested function call.
  "$0" --stage "$1" || status=FAILED
  seconds[$1]=$((SECONDS - start))
  result[$1]=$status
}

summary() {
  local stage passed=0 failed=0
  printf '\n%-10s %8s  %s\n' stage seconds result
  for stage in "${chosen[@]}"; do
    printf '%-10s %8s  %s\n' "$stage" "${seconds[$stage]}" "${result[$stage]}"
    if [ "${result[$stage]}" = ok ]; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
  done
  printf '%-10s %8s\n\n' total "$SECONDS"
  grep -hE 'tests? passed|tests? failed' "$build/ctest.log" 2>/dev/null || true
  printf '%d passed, %d failed\n' "$passed" "$failed"
  [ "$failed" -eq 0 ]
}

if [ "${1:-}" = --stage ]; then
  "stage_$2"
  exit
fi
chosen=("$@")
[ $# -gt 0 ] || chosen=("${stages[@]}")
mkdir -p "$build"
rm -f "$build/ctest.log"
for stage in "${chosen[@]}"; do
  declare -F "stage_$stage" >/dev/null || die "no stage '$stage'; there are: ${stages[*]}"
  case "$stage" in
    includes | test | install | soak | fuzz)
      if [ "${result[build]:-ok}" != ok ]; then
        result[$stage]=skipped seconds[$stage]=0
        continue
      fi
      ;;
  esac
  run_stage "$stage"
done
summary
