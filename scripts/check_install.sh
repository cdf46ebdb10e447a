#!/usr/bin/env bash
# Installs the package under build/installed, then builds the examples against it alone (as a user
# would: find_package(fxq)) and runs them on the digits net.
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"

prefix="$build/installed"
users="$build/installed-users"
digits="$root/examples/digits"

# user EXAMPLE: builds examples/EXAMPLE in $users/EXAMPLE and goes there.
user() {
  cmake -G Ninja -S "$root/examples/$1" -B "$users/$1" -DCMAKE_PREFIX_PATH="$prefix" \
    -DCMAKE_BUILD_TYPE=Release >"$users/$1.log" || {
    cat "$users/$1.log" >&2
    return 1
  }
  ninja -C "$users/$1"
  cd "$users/$1"
}

"$root/scripts/build.sh" release
rm -rf "$prefix" "$users"
mkdir -p "$users"
cmake --install "$build" --prefix "$prefix" >/dev/null

user installed
./quantize_digits "$digits/digits.script.pt" "$digits/calib_images.npy"
test -s digits.onnx

user rewrite
./rewrite "$digits/digits.trace.pt" "$digits/calib_images.npy" | tail -1

user own_op
./own_op | tail -1
test -s absdiff.onnx

user train
./train "$digits" | head -1
./train "$digits" frozen | head -1
./train_parallel "$digits" | head -2

user deploy
if grep -qi torch CMakeCache.txt || ldd classify | grep -qi torch; then
  die "examples/deploy has found LibTorch, which it must not need"
fi
"$prefix/bin/fxq" quantize "$digits/digits.script.pt" --calib "$digits/calib_images.npy" -q -o digits.fxq
./classify digits.fxq "$digits/test_images.npy" 1 | tail -1

# A component that is not there is refused by name.
mkdir -p "$users/wrong"
printf 'cmake_minimum_required(VERSION 3.25)\nproject(wrong CXX)\nfind_package(fxq REQUIRED COMPONENTS nonsense)\n' \
  >"$users/wrong/CMakeLists.txt"
if cmake -S "$users/wrong" -B "$users/wrong/build" -DCMAKE_PREFIX_PATH="$prefix" >"$users/wrong.log" 2>&1; then
  die "find_package accepted a component that does not exist"
fi
grep -q "no component 'nonsense'" "$users/wrong.log"
