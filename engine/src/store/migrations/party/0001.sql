-- A party's database, version 1. Never edited once landed.
CREATE TABLE pins (
    name TEXT PRIMARY KEY,
    key BLOB NOT NULL CHECK (length(key) = 32),
    at_ms INTEGER NOT NULL
) STRICT;

-- Values drawn once; `value` is sealed. A row is never changed and never removed.
CREATE TABLE once (
    kind TEXT NOT NULL,
    key TEXT NOT NULL,
    binding BLOB NOT NULL CHECK (length(binding) = 32),
    value BLOB NOT NULL,
    PRIMARY KEY (kind, key)
) STRICT;
CREATE TRIGGER once_is_append_only_1 BEFORE UPDATE ON once
BEGIN SELECT RAISE(ABORT, 'a value is drawn once'); END;
CREATE TRIGGER once_is_append_only_2 BEFORE DELETE ON once
BEGIN SELECT RAISE(ABORT, 'a value is drawn once'); END;

-- `secret` is sealed.
CREATE TABLE ceremonies (
    id TEXT PRIMARY KEY,
    public TEXT NOT NULL,
    secret BLOB NOT NULL,
    state TEXT NOT NULL,
    at_ms INTEGER NOT NULL
) STRICT;

CREATE TABLE tasks (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    job TEXT NOT NULL UNIQUE,
    request_digest BLOB NOT NULL UNIQUE CHECK (length(request_digest) = 32),
    owner TEXT NOT NULL,
    query TEXT NOT NULL,
    approval TEXT NOT NULL,
    state TEXT NOT NULL,
    at_ms INTEGER NOT NULL
) STRICT;

CREATE TABLE checkpoint (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    text TEXT NOT NULL
) STRICT;

CREATE TABLE audit (
    seq INTEGER PRIMARY KEY,
    event TEXT NOT NULL,
    prev_hash BLOB NOT NULL CHECK (length(prev_hash) = 32),
    hash BLOB NOT NULL CHECK (length(hash) = 32),
    signature BLOB NOT NULL CHECK (length(signature) = 64)
) STRICT;
CREATE TRIGGER audit_is_append_only_1 BEFORE UPDATE ON audit
BEGIN SELECT RAISE(ABORT, 'the audit chain is append-only'); END;
CREATE TRIGGER audit_is_append_only_2 BEFORE DELETE ON audit
BEGIN SELECT RAISE(ABORT, 'the audit chain is append-only'); END;
