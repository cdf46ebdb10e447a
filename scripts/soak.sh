#!/usr/bin/env bash
# soak.sh [SECONDS]: three nets of the fixtures in build/bin/soak for SECONDS (60).
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"

seconds="${1:-60}"
"$root/scripts/setup.sh"
"$root/scripts/build.sh" release fxq soak
"$root/scripts/models.sh"
folder="$build/soak"
mkdir -p "$folder"
models=()
for net in resnet18 mobilenet_v2 shufflenet_v2_x1_0; do
  [ -f "$folder/$net.fxq" ] ||
    "$build/bin/fxq" quantize "$build/models/$net.script.pt" --calib "$build/models/$net.calib.npy" -q -o "$folder/$net.fxq"
  models+=("$folder/$net.fxq")
done
exec "$build/bin/soak" "$seconds" "${models[@]}"
