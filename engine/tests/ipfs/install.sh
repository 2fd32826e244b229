#!/usr/bin/env bash
# Installs the IPFS node that the tests start, from npm, outside the repository.
#
#   install.sh    install; print the folder
#
# Needs node 20 or newer with npm. WARD_IPFS_TOOLS names the folder to install into.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

tools="${WARD_IPFS_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/ward/ipfs-tools}"
# The lock file pins every package by its hash; scripts of packages do not run.
if ! cmp -s package-lock.json "$tools/package-lock.json" || [ ! -d "$tools/node_modules/ipfs-http-server" ]; then
    mkdir -p "$tools"
    cp package.json package-lock.json "$tools/"
    npm ci --prefix "$tools" --ignore-scripts --no-audit --no-fund --loglevel=error >&2
fi
echo "$tools"
