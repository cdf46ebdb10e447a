#!/usr/bin/env bash
# Installs what is missing and nothing else. Quick, silent and offline when all is there.
#   setup.sh                       Debian packages and the Python environment of the tests
#   setup.sh --no-venv [PACKAGE..] Debian packages only; also those that are named
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"

with_venv=yes
if [ "${1:-}" = --no-venv ]; then
  with_venv=no
  shift
fi
extra=("$@")

wanted_packages() {
  grep -v '^#' "$root/scripts/packages.txt"
  [ ${#extra[@]} -eq 0 ] || printf '%s\n' "${extra[@]}"
}

missing_packages() {
  local installed
  # shellcheck disable=SC2016,SC2046
  installed="$(dpkg-query -W -f '${Package} ${db:Status-Status}\n' $(wanted_packages) 2>/dev/null |
    awk '$2 == "installed" { print $1 }' || true)"
  wanted_packages | grep -vxF -f <(echo "$installed") || true
}

as_root() {
  if [ "$(id -u)" -eq 0 ]; then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo "$@"
  else
    die "needs root or sudo for: $*"
  fi
}

install_packages() {
  local missing
  mapfile -t missing < <(missing_packages)
  [ ${#missing[@]} -gt 0 ] || return 0
  command -v apt-get >/dev/null || die "no apt-get here (Debian 12 is expected); missing: ${missing[*]}"
  say "installing Debian packages: ${missing[*]}"
  as_root apt-get -o DPkg::Lock::Timeout=600 update -qq
  as_root env DEBIAN_FRONTEND=noninteractive \
    apt-get -o DPkg::Lock::Timeout=600 install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

install_venv() {
  local stamp="$venv/.installed"
  cmp -s "$root/scripts/requirements.txt" "$stamp" && return 0
  say "installing Python packages into build/venv: $(grep -v '^#' "$root/scripts/requirements.txt" | xargs)"
  [ -x "$venv/bin/pip" ] || "$system_python" -m venv --system-site-packages "$venv"
  "$venv/bin/pip" install --quiet --no-deps --disable-pip-version-check -r "$root/scripts/requirements.txt" ||
    die "PyPI did not deliver scripts/requirements.txt; the tests need it (./dev build and ./dev demo do not)"
  cp "$root/scripts/requirements.txt" "$stamp"
}

install_packages
[ "$with_venv" = no ] || install_venv
