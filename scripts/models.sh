#!/usr/bin/env bash
# Makes the fixture models in build/models, unless the scripts that make them are as they were.
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"

stamp="$build/models/.made_by"
now="$(cat tests/models/*.py examples/digits/net.py examples/digits/digits.script.pt \
  scripts/requirements.txt | sha256sum)"
[ "$(cat "$stamp" 2>/dev/null || true)" = "$now" ] && exit 0
say "making the fixture models in build/models"
log="$build/models.log"
"$venv/bin/python" tests/models/make_models.py "$build/models" >"$log" 2>&1 || {
  cat "$log" >&2
  die "tests/models/make_models.py failed"
}
grep skipped "$log" >&2 && exit 0 # made anew the next time
echo "$now" >"$stamp"
