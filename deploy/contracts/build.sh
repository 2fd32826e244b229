#!/usr/bin/env bash
# Installs the Solidity compiler and a test chain from npm, outside the repository, and compiles the contracts.
#
#   build.sh            compile; write artifacts/
#   build.sh --check    compile; fail when artifacts/ differ
#   build.sh --tools    install only; print where the test chain's binary is
#
# Needs node 20 or newer with npm. WARD_EVM_TOOLS names the folder to install into. The test chain is installed on Linux
# on x86-64; elsewhere install Foundry's anvil by hand and name its binary in WARD_ANVIL.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

tools="${WARD_EVM_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/ward/evm-tools}"
anvil="${WARD_ANVIL:-$tools/node_modules/@foundry-rs/anvil-linux-amd64/bin/anvil}"

# The lock file pins every package by its hash; scripts of packages do not run.
if ! cmp -s package-lock.json "$tools/package-lock.json" || [ ! -d "$tools/node_modules/solc" ]; then
    mkdir -p "$tools"
    cp package.json package-lock.json "$tools/"
    npm ci --prefix "$tools" --ignore-scripts --no-audit --no-fund --loglevel=error >&2
fi

if [ "${1:-}" = --tools ]; then
    [ -x "$anvil" ] || { echo "no test chain at $anvil: name one in WARD_ANVIL" >&2; exit 1; }
    echo "$anvil"
else
    node build.mjs "$tools" "${1:-}"
fi
