#!/usr/bin/env bash
# From a ceremony of two contributors to an attestation that verifies: the whole way of docs/start/eligibility.md without a
# development key. Takes about seven minutes of processor time (7 min 7 s when it was last run), nearly all of it the preparation of the second phase, so no
# test runs it. examples/eligibility/ceremony.sh [FOLDER]: where everything goes [default: target/ceremony]. `ward` is on
# the path. A folder that has the keys is not made anew.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
e=examples/eligibility t=${1:-target/ceremony}
export WARD_PASSPHRASE='for this example only'
mkdir -p "$t"
if [ ! -e "$t/keys/eligibility-1.verifying-key" ]; then # the ceremony itself
    rm -rf "$t/setup"
    head -c 32 /dev/urandom > "$t/north.pem" # a stand-in for the hospitals' certificates, whose hashes are in the transcript
    head -c 32 /dev/urandom > "$t/south.pem"
    ward setup new "$t/setup" --name "Example" --size 15
    for phase in "" "--statement eligibility-1"; do
        [ -z "$phase" ] || ward setup prepare "$t/setup" $phase --at-least 2
        for hospital in north south; do
            ward setup contribute "$t/setup" $phase --as "$hospital" --certificate "$t/$hospital.pem" --at-least 2
        done
        # In a ceremony that counts: a public value that was announced before, and is younger than the last contribution.
        ward setup beacon "$t/setup" $phase --value "$(head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \n')" --at-least 2
    done
fi
# Verifies everything again, and prints the key's id: the same for whoever runs it on the folder.
made=$(ward --json setup finalise "$t/setup" --statement eligibility-1 --out "$t/keys" --at-least 2)
id=$(sed -n 's/.*"key": *"\([0-9a-f]*\)".*/\1/p' <<< "$made")
rm -rf "$t/key" "$t/north" "$t"/p001.* "$t/published" "$t/counted.jsonl"
ward attest key --verifying "$t/keys/eligibility-1.verifying-key" --proving "$t/keys/eligibility-1.proving-key" \
    --id "$id" --out "$t/key"

ward attest request @$e/criteria.txt --study trial-7 --audience https://sponsor.example --out "$t/request.json"
ward issuer init --dir "$t/north" --name north
ward wallet init --wallet "$t/p001.wallet"
ward wallet request --wallet "$t/p001.wallet" --out "$t/p001.holder.json"
ward issuer issue --dir "$t/north" --mapping $e/mapping.toml --records $e/patients.csv --patient P-001 \
    --holder "$t/p001.holder.json" --out "$t/p001.credential"
ward issuer publish --dir "$t/north" --out "$t/published"
ward attest registry "$t/published/north.issuer.json" "$t/published/north.revocations.json" --out "$t/registry.json"
ward wallet add --wallet "$t/p001.wallet" "$t/p001.credential" --issuer "$t/published/north.issuer.json"
ward prove --wallet "$t/p001.wallet" --request "$t/request.json" --registry "$t/registry.json" --key "$t/key" \
    --policy $e/policy.toml --out "$t/p001.json" --qr "$t/p001.svg"

verify() { ward attest verify "$1" --request "$t/request.json" --registry "$t/registry.json" --key "$t/key" "${@:2}"; }
verify "$t/p001.json"
verify "$t/p001.svg"
verify - < "$t/p001.svg"
if command -v zbarimg rsvg-convert > /dev/null; then
    rsvg-convert "$t/p001.svg" > "$t/p001.png" # as a photograph of the screen would be
    if verify "$t/p001.png"; then exit 1; fi   # attest.image: a picture is a scanner's affair
    zbarimg --raw -q "$t/p001.png" | verify -
fi
verify "$t/p001.json" --nullifiers "$t/counted.jsonl"
if verify "$t/p001.json" --nullifiers "$t/counted.jsonl"; then exit 1; fi # attest.replay
echo "whole"
