#!/usr/bin/env bash
# Installs the package under build/installed, then builds examples/installed against it alone (as a
# user would: find_package(fxq)) and runs it on the digits net.
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"

prefix="$build/installed"
user="$build/installed-user"
rm -rf "$prefix" "$user"
cmake --install "$build" --prefix "$prefix" >/dev/null
cmake -G Ninja -S "$root/examples/installed" -B "$user" -DCMAKE_PREFIX_PATH="$prefix" \
  -DCMAKE_BUILD_TYPE=Release >/dev/null
ninja -C "$user"
cd "$user"
./quantize_digits "$root/examples/digits/digits.script.pt" "$root/examples/digits/calib_images.npy"
test -s digits.onnx
