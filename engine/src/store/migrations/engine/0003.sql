-- The engine's database, version 3: attestations that were registered, and anchors on chains. Never edited once landed.

-- A patient counts once in a study. A row is never changed and never removed.
CREATE TABLE registrations (
    study TEXT NOT NULL,
    nullifier BLOB NOT NULL CHECK (length(nullifier) = 32),
    attestation BLOB NOT NULL UNIQUE CHECK (length(attestation) = 32),
    job TEXT NOT NULL REFERENCES jobs (id),
    leaf_index INTEGER NOT NULL,
    at_ms INTEGER NOT NULL,
    PRIMARY KEY (study, nullifier)
) STRICT;
CREATE INDEX registrations_job ON registrations (job);
CREATE TRIGGER registrations_is_append_only_1 BEFORE UPDATE ON registrations
BEGIN SELECT RAISE(ABORT, 'a registration is append-only'); END;
CREATE TRIGGER registrations_is_append_only_2 BEFORE DELETE ON registrations
BEGIN SELECT RAISE(ABORT, 'a registration is append-only'); END;

-- What a chain has. `kind` is commitment, checkpoint or attestation; `size` is that of a checkpoint's tree.
CREATE TABLE anchors (
    chain_id INTEGER NOT NULL,
    contract TEXT NOT NULL,
    kind TEXT NOT NULL,
    digest BLOB NOT NULL CHECK (length(digest) = 32),
    size INTEGER NOT NULL,
    block INTEGER NOT NULL,
    tx BLOB,
    at_ms INTEGER NOT NULL,
    PRIMARY KEY (chain_id, contract, kind, digest)
) STRICT;
CREATE INDEX anchors_size ON anchors (size) WHERE kind = 'checkpoint';
