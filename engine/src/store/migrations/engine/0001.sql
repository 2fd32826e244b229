-- The engine's database, version 1. Never edited once landed.
CREATE TABLE meta (
    key TEXT PRIMARY KEY,
    value BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE tokens (
    hash BLOB PRIMARY KEY CHECK (length(hash) = 32),
    role TEXT NOT NULL,
    name TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    expires_ms INTEGER NOT NULL,
    used_ms INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX tokens_open ON tokens (name) WHERE used_ms IS NULL;

CREATE TABLE members (
    name TEXT PRIMARY KEY,
    role TEXT NOT NULL,
    key BLOB NOT NULL UNIQUE CHECK (length(key) = 32),
    certificate BLOB NOT NULL,
    enrolled_ms INTEGER NOT NULL,
    revoked_ms INTEGER
) STRICT;

CREATE TABLE publications (
    hospital TEXT NOT NULL REFERENCES members (name),
    version INTEGER NOT NULL,
    json TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    PRIMARY KEY (hospital, version)
) STRICT, WITHOUT ROWID;

CREATE TABLE epochs (
    id TEXT PRIMARY KEY,
    params TEXT NOT NULL,
    participants TEXT NOT NULL,
    threshold INTEGER NOT NULL,
    public_key BLOB,
    transcript BLOB,
    state TEXT NOT NULL,
    at_ms INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX epochs_one_active ON epochs (state) WHERE state = 'active';

CREATE TABLE jobs (
    id TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    state TEXT NOT NULL,
    owner TEXT NOT NULL,
    request BLOB NOT NULL,
    request_digest BLOB NOT NULL UNIQUE CHECK (length(request_digest) = 32),
    plan TEXT NOT NULL,
    result_key BLOB,
    created_ms INTEGER NOT NULL,
    deadline_ms INTEGER NOT NULL,
    attempt INTEGER NOT NULL DEFAULT 0,
    not_before_ms INTEGER NOT NULL DEFAULT 0,
    lease_owner TEXT,
    lease_fence INTEGER NOT NULL DEFAULT 0,
    lease_until_ms INTEGER NOT NULL DEFAULT 0,
    conclusion TEXT,
    leaf_index INTEGER
) STRICT;
CREATE INDEX jobs_open ON jobs (id) WHERE state IN ('queued', 'waiting', 'running', 'committing');
CREATE INDEX jobs_owner ON jobs (owner, id);
CREATE INDEX jobs_result ON jobs (result_key, id) WHERE state = 'done' AND result_key IS NOT NULL;

CREATE TABLE job_events (
    job TEXT NOT NULL REFERENCES jobs (id),
    seq INTEGER NOT NULL,
    at_ms INTEGER NOT NULL,
    state TEXT NOT NULL,
    party TEXT,
    step TEXT NOT NULL,
    detail TEXT NOT NULL,
    PRIMARY KEY (job, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE job_parts (
    job TEXT NOT NULL REFERENCES jobs (id),
    step TEXT NOT NULL,
    party TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    digest BLOB NOT NULL CHECK (length(digest) = 32),
    blob BLOB NOT NULL CHECK (length(blob) = 32),
    header BLOB NOT NULL,
    PRIMARY KEY (job, step, party)
) STRICT, WITHOUT ROWID;

CREATE TABLE receipts (
    job TEXT PRIMARY KEY REFERENCES jobs (id),
    json TEXT NOT NULL
) STRICT;

CREATE TABLE outbox (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    topic TEXT NOT NULL,
    payload TEXT NOT NULL,
    delivered_ms INTEGER
) STRICT;
CREATE INDEX outbox_pending ON outbox (seq) WHERE delivered_ms IS NULL;

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

CREATE TABLE log_entries (
    idx INTEGER PRIMARY KEY,
    entry BLOB NOT NULL UNIQUE CHECK (length(entry) = 32)
) STRICT;
CREATE TABLE log_nodes (
    level INTEGER NOT NULL,
    idx INTEGER NOT NULL,
    hash BLOB NOT NULL CHECK (length(hash) = 32),
    PRIMARY KEY (level, idx)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER log_is_append_only_1 BEFORE UPDATE ON log_entries
BEGIN SELECT RAISE(ABORT, 'the log is append-only'); END;
CREATE TRIGGER log_is_append_only_2 BEFORE DELETE ON log_entries
BEGIN SELECT RAISE(ABORT, 'the log is append-only'); END;
CREATE TRIGGER log_is_append_only_3 BEFORE UPDATE ON log_nodes
BEGIN SELECT RAISE(ABORT, 'the log is append-only'); END;
CREATE TRIGGER log_is_append_only_4 BEFORE DELETE ON log_nodes
BEGIN SELECT RAISE(ABORT, 'the log is append-only'); END;

CREATE TABLE checkpoints (
    size INTEGER PRIMARY KEY,
    note TEXT NOT NULL
) STRICT;
