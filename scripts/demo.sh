#!/usr/bin/env bash
# The whole job, twice: a trained digits net (accuracy), then resnet18 with random weights (speed).
# Leaves everything in build/demo.
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"

out=build/demo # paths as one would type them, from the root of the tree
digits=examples/digits
bold='' plain=''
if [ -t 1 ]; then bold=$'\033[1m' plain=$'\033[0m'; fi

# Shows a command as one would type it, then runs it.
fxq() {
  printf '\n%s$ fxq %s%s\n' "$bold" "$*" "$plain"
  "$build/bin/fxq" "$@"
}

title() { printf '\n=== %s\n' "$*"; }

demo_digits() {
  title "digits: a trained residual net on 8x8 images"
  local float="$digits/digits.script.pt" int8="$out/digits.fxq"
  local data=(--data "$digits/test_images.npy" --labels "$digits/test_labels.npy")
  fxq inspect "$float" --svg "$out/digits.svg"
  fxq quantize "$float" --calib "$digits/calib_images.npy" -o "$int8"
  fxq eval "$float" "${data[@]}" | tee "$out/float_top1.txt"
  fxq eval "$int8" "${data[@]}" | tee "$out/int8_top1.txt"
  fxq run "$int8" --input "$digits/images" --config "$digits/preprocess.json" \
    --output "$out/digits_logits.npy"
  fxq export "$int8" --opset 13 -o "$out/digits.onnx"
  fxq bench "$int8" --compare float --threads 1 --batch 1 | tee "$out/digits_bench.txt"
}

# Python writes the float model; without it the demo goes on.
make_resnet18() {
  local models=build/models
  [ -f "$models/resnet18.script.pt" ] && return 0
  "$system_python" "$root/tests/models/make_models.py" "$models" resnet18 >"$out/make_models.log" 2>&1 &&
    [ -f "$models/resnet18.script.pt" ]
}

demo_resnet18() {
  title "resnet18, random weights, 224x224: speed"
  if ! make_resnet18; then
    say "skipped: $system_python could not make the model (it needs torch and torchvision)"
    return
  fi
  local float=build/models/resnet18.script.pt int8="$out/resnet18.fxq"
  fxq quantize "$float" --random-calib 4x3x224x224 -o "$int8"
  fxq export "$int8" --opset 13 -o "$out/resnet18.onnx"
  fxq bench "$int8" --compare float --threads 1 --batch 1 | tee "$out/resnet18_bench.txt"
}

last_line() { tail -n 1 "$1"; }
speed() { grep -m 1 'as fast' "$1" || echo "not measured"; }

summary() {
  title "results (in build/demo)"
  printf '%-22s %s\n' \
    "digits, float" "$(last_line "$out/float_top1.txt")" \
    "digits, int8" "$(last_line "$out/int8_top1.txt")" \
    "digits, speed" "$(speed "$out/digits_bench.txt")" \
    "digits, ONNX" "$out/digits.onnx" \
    "digits, picture" "$out/digits.svg"
  if [ -f "$out/resnet18_bench.txt" ]; then
    printf '%-22s %s\n' \
      "resnet18, speed" "$(speed "$out/resnet18_bench.txt")" \
      "resnet18, ONNX" "$out/resnet18.onnx"
  fi
}

"$root/scripts/build.sh" release fxq
rm -rf "$out"
mkdir -p "$out"
demo_digits
demo_resnet18
summary
