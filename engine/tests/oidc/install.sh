#!/usr/bin/env bash
# Installs the OpenID provider that the tests start, from npm, outside the repository; prints the folder. WARD_OIDC_TOOLS names another
# folder to install into.
exec "$(dirname "${BASH_SOURCE[0]}")/../npm-tools.sh" oidc oidc-provider "${WARD_OIDC_TOOLS:-}"
