#!/usr/bin/env bash
# fuzz.sh [SECONDS [TARGET...]]: runs the libFuzzer targets of fuzz/, two at a time, SECONDS each (60).
# Seeds come from fixtures and golden files; what is found grows build/fuzz/corpus. A crash, a hang, a
# leak or more than 2 GiB ends with its input in build/fuzz and a failure.
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"

seconds="${1:-60}"
[ $# -gt 0 ] && shift
targets=("$@")
[ $# -gt 0 ] || mapfile -t targets < <(basename -s .cc fuzz/*.cc)
folder="$build/fuzz"
mkdir -p "$folder"

build_targets() {
  cmake --preset clang -DFXQ_BUILD_FUZZ=ON >"$folder/configure.log" 2>&1 || {
    cat "$folder/configure.log" >&2
    die "CMake could not configure preset 'clang'"
  }
  "$root/scripts/build.sh" clang fuzzers
}

# One fuzzer; its log is shown if it fails.
fuzz() {
  local corpus="$folder/corpus/$1" log="$folder/$1.log"
  mkdir -p "$corpus"
  if "$build/clang/bin/fuzz_$1" "$corpus" "$folder/seeds/$1" -max_total_time="$seconds" -timeout=20 \
    -rss_limit_mb=2048 -malloc_limit_mb=1024 -max_len=65536 -print_final_stats=1 -seed=1 \
    -artifact_prefix="$folder/$1-" >"$log" 2>&1; then
    say "fuzz $1: $(sed -n 's/^stat::number_of_executed_units: *//p' "$log") runs, nothing found"
    return 0
  fi
  tail -60 "$log" >&2
  say "fuzz $1: FAILED; the input is in build/fuzz"
  return 1
}

build_targets
"$system_python" "$root/fuzz/make_seeds.py" "$build" "$folder/seeds"
export ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1:detect_odr_violation=0
failed=0
for ((i = 0; i < ${#targets[@]}; i += 2)); do
  pids=()
  for target in "${targets[@]:i:2}"; do
    fuzz "$target" &
    pids+=($!)
  done
  for pid in "${pids[@]}"; do wait "$pid" || failed=1; done
done
exit "$failed"
