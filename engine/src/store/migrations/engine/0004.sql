-- People and services, their accounts and logins; revoked keys. Never edited once landed.
ALTER TABLE members ADD COLUMN by_token INTEGER NOT NULL DEFAULT 0;

CREATE TABLE people (
    name TEXT PRIMARY KEY,
    issuer TEXT NOT NULL,
    subject TEXT NOT NULL,
    first_ms INTEGER NOT NULL,
    UNIQUE (issuer, subject)
) STRICT;

CREATE TABLE accounts (
    name TEXT PRIMARY KEY REFERENCES people (name),
    kind TEXT NOT NULL,
    roles TEXT NOT NULL,
    organisation TEXT,
    secrets BLOB NOT NULL,
    totp_step INTEGER NOT NULL,
    failures INTEGER NOT NULL,
    locked_until_ms INTEGER NOT NULL,
    is_disabled INTEGER NOT NULL,
    version INTEGER NOT NULL
) STRICT;

CREATE TABLE logins (
    id TEXT PRIMARY KEY,
    account TEXT NOT NULL REFERENCES accounts (name),
    refresh BLOB NOT NULL CHECK (length(refresh) = 32),
    amr TEXT NOT NULL,
    authenticated_ms INTEGER NOT NULL,
    expires_ms INTEGER NOT NULL,
    ended_ms INTEGER
) STRICT;
CREATE INDEX logins_open ON logins (account) WHERE ended_ms IS NULL;

CREATE TABLE revocations (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL,
    key BLOB NOT NULL UNIQUE CHECK (length(key) = 32),
    at_ms INTEGER NOT NULL
) STRICT;
INSERT INTO revocations (name, key, at_ms)
    SELECT name, key, revoked_ms FROM members WHERE revoked_ms IS NOT NULL ORDER BY revoked_ms, name;
