#!/usr/bin/env bash
# Installs the S3 server that the tests start, from npm, outside the repository; prints the folder. WARD_S3_TOOLS names another
# folder to install into.
exec "$(dirname "${BASH_SOURCE[0]}")/../npm-tools.sh" s3 s3rver "${WARD_S3_TOOLS:-}"
