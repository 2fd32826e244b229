-- Studies that this hospital decided on: its own copies, and its last word on each.
CREATE TABLE studies (
    id TEXT PRIMARY KEY,
    digest BLOB NOT NULL CHECK (length(digest) = 32),
    json TEXT NOT NULL,
    verdict TEXT NOT NULL CHECK (verdict IN ('approved', 'denied', 'withdrawn')),
    decision TEXT NOT NULL,
    at_ms INTEGER NOT NULL
) STRICT;

-- Times in which a rule of approval does not hold for a researcher. Never removed; an early end is written down.
CREATE TABLE overrides (
    id TEXT PRIMARY KEY,
    researcher TEXT NOT NULL,
    reason TEXT NOT NULL,
    opened_by TEXT NOT NULL,
    from_ms INTEGER NOT NULL,
    until_ms INTEGER NOT NULL,
    closed_ms INTEGER
) STRICT;

-- What has to be told outside the house: delivered at least once.
CREATE TABLE notices (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    json TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    not_before_ms INTEGER NOT NULL DEFAULT 0,
    delivered_ms INTEGER
) STRICT;
