#!/usr/bin/env bash
# Installs what the folder WHAT of these tests starts, from npm, outside the repository.
#
#   npm-tools.sh WHAT PACKAGE FOLDER    install into FOLDER, unless PACKAGE is there by the same lock file; print the folder
#
# Needs node 20 or newer with npm.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/$1"

tools="${3:-${XDG_CACHE_HOME:-$HOME/.cache}/ward/$1-tools}"
# The lock file pins every package by its hash; scripts of packages do not run.
if ! cmp -s package-lock.json "$tools/package-lock.json" || [ ! -d "$tools/node_modules/$2" ]; then
    mkdir -p "$tools"
    cp package.json package-lock.json "$tools/"
    npm ci --prefix "$tools" --ignore-scripts --no-audit --no-fund --loglevel=error >&2
fi
echo "$tools"
