#!/usr/bin/env bash
# torch2.sh [FILTER]: builds and tests against LibTorch 2.x from PyPI, in build/torch2. The wheel is
# taken without its CUDA dependencies but for the two libraries that libtorch_cpu.so itself needs.
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"

folder="$build/torch2"
torch_venv="$folder/venv"
packages=(torch==2.15.0 nvidia-cuda-cupti==13.5.25 nvidia-cuda-runtime==13.5.37)

install_torch() {
  [ "$(cat "$torch_venv/.installed" 2>/dev/null || true)" = "${packages[*]}" ] && return 0
  say "installing into build/torch2/venv, 0.5 GB to download: ${packages[*]}"
  "$system_python" -m venv "$torch_venv"
  "$torch_venv/bin/pip" install --quiet --disable-pip-version-check --no-deps "${packages[@]}"
  echo "${packages[*]}" >"$torch_venv/.installed"
}

"$root/scripts/setup.sh"
install_torch
torch_root="$(echo "$torch_venv"/lib/python3*/site-packages/torch)"
if [ ! -f "$folder/build.ninja" ]; then
  cmake --preset torch2 -DFXQ_TORCH_ROOT="$torch_root" >"$folder/configure.log" 2>&1 || {
    cat "$folder/configure.log" >&2
    die "CMake could not configure preset 'torch2'"
  }
fi
"$root/scripts/models.sh"
ninja -C "$folder" -j "$(jobs)"
ctest --test-dir "$folder" --output-on-failure -R "${1:-.}"
