#!/usr/bin/env bash
# Installs the FHIR validator that the tests run, from npm, outside the repository; prints the folder. WARD_FHIR_TOOLS names another
# folder to install into.
exec "$(dirname "${BASH_SOURCE[0]}")/../npm-tools.sh" fhir fhir "${WARD_FHIR_TOOLS:-}"
