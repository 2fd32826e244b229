#!/usr/bin/env bash
# Installs the IPFS node that the tests start, from npm, outside the repository; prints the folder. WARD_IPFS_TOOLS names another
# folder to install into.
exec "$(dirname "${BASH_SOURCE[0]}")/../npm-tools.sh" ipfs ipfs-http-server "${WARD_IPFS_TOOLS:-}"
