-- A party's database, version 4: consents. Never edited once landed.
-- The current state of every artefact; `number` is its place in the order of recording. Patients are pseudonyms.
CREATE TABLE consents (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    pseudonym BLOB NOT NULL CHECK (length(pseudonym) = 32),
    source TEXT NOT NULL,
    rule TEXT NOT NULL,
    from_ms INTEGER,
    until_ms INTEGER,
    provenance TEXT NOT NULL,
    status TEXT NOT NULL,
    version INTEGER NOT NULL,
    changed_ms INTEGER NOT NULL,
    signature BLOB NOT NULL CHECK (length(signature) = 64)
) STRICT;
CREATE INDEX consents_by_patient ON consents (pseudonym);
CREATE INDEX consents_by_source ON consents (source);
CREATE INDEX consents_by_end ON consents (until_ms) WHERE until_ms IS NOT NULL;

-- Every status an artefact ever had, each signed.
CREATE TABLE consent_changes (
    change INTEGER PRIMARY KEY AUTOINCREMENT,
    number INTEGER NOT NULL REFERENCES consents (number),
    version INTEGER NOT NULL,
    status TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    reason TEXT NOT NULL,
    signature BLOB NOT NULL CHECK (length(signature) = 64),
    UNIQUE (number, version)
) STRICT;
CREATE TRIGGER consent_changes_are_append_only_1 BEFORE UPDATE ON consent_changes
BEGIN SELECT RAISE(ABORT, 'the history of consents is append-only'); END;
CREATE TRIGGER consent_changes_are_append_only_2 BEFORE DELETE ON consent_changes
BEGIN SELECT RAISE(ABORT, 'the history of consents is append-only'); END;

-- The roots that were shown: after which change, and when.
CREATE TABLE consent_roots (
    version INTEGER PRIMARY KEY,
    change INTEGER NOT NULL,
    consents INTEGER NOT NULL,
    root BLOB NOT NULL CHECK (length(root) = 32),
    at_ms INTEGER NOT NULL,
    signature BLOB NOT NULL CHECK (length(signature) = 64)
) STRICT;
CREATE TRIGGER consent_roots_are_append_only_1 BEFORE UPDATE ON consent_roots
BEGIN SELECT RAISE(ABORT, 'roots of consents are append-only'); END;
CREATE TRIGGER consent_roots_are_append_only_2 BEFORE DELETE ON consent_roots
BEGIN SELECT RAISE(ABORT, 'roots of consents are append-only'); END;
