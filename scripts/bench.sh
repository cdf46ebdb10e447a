#!/usr/bin/env bash
# bench.sh [PROGRAM [ARG...]]: builds and runs one program of bench/, or all C++ ones without
# arguments. "peers" compares whole models with other tools (bench/peers) and installs those first.
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"

# A Python environment of its own: the peers' packages must not meet the tests'.
install_peers() {
  local wanted="$root/bench/peers/requirements.txt" there="$build/peers/venv"
  cmp -s "$wanted" "$there/.installed" && return 0
  say "installing Python packages into build/peers/venv: $(grep -v '^#' "$wanted" | xargs)"
  "$system_python" -m venv --system-site-packages "$there"
  "$there/bin/pip" install --quiet --disable-pip-version-check -r "$wanted"
  cp "$wanted" "$there/.installed"
}

if [ "${1:-}" = peers ]; then
  shift
  "$root/scripts/setup.sh"
  "$root/scripts/build.sh" release fxq peer_worker int8_peak graph_work
  install_peers
  exec "$build/peers/venv/bin/python" "$root/bench/peers/compare_peers.py" "$@"
fi

if [ "${1:-}" = accuracy ] || [ "${1:-}" = weight_fixes ]; then
  program="$1"
  shift
  "$root/scripts/setup.sh"
  "$root/scripts/build.sh" release fxq
  [ "$program" = weight_fixes ] && exec "$system_python" "$root/bench/accuracy/weight_fixes.py" "$@"
  install_peers
  exec "$build/peers/venv/bin/python" "$root/bench/accuracy/compare_accuracy.py" "$@"
fi

if [ "${1:-}" = onnx_profiles ]; then
  shift
  "$root/scripts/setup.sh"
  "$root/scripts/build.sh" release fxq peer_worker int8_peak
  install_peers
  exec "$build/peers/venv/bin/python" "$root/bench/peers/onnx_profiles.py" "$@"
fi

if [ "${1:-}" = onnx_zoo ]; then
  shift
  "$root/scripts/build.sh" release fxq
  install_peers
  exec "$build/peers/venv/bin/python" "$root/bench/onnx_zoo.py" "$@"
fi

if [ "${1:-}" = capture_zoo ]; then
  shift
  "$root/scripts/build.sh" release capture
  exec "$system_python" "$root/bench/capture_zoo.py" "$@"
fi

# capture and soak want models; peer_worker serves bench/peers only
mapfile -t programs < <(sed -n 's/^add_executable(\([a-z0-9_]*\) .*/\1/p' bench/CMakeLists.txt | grep -vx -e capture -e peer_worker -e soak)
if [ $# -gt 0 ]; then
  [[ " ${programs[*]} " == *" $1 "* ]] || die "no benchmark '$1'; there are: ${programs[*]} peers accuracy weight_fixes"
  programs=("$1")
  shift
fi
"$root/scripts/build.sh" release
for program in "${programs[@]}"; do
  say "== $program $*"
  "$build/bin/$program" "$@"
done
