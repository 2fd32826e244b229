-- A party's database: release rules that outlast a query. Never edited once landed.

-- The highest floor of the consortium that this node has heard of.
CREATE TABLE consortium_floor (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    floor INTEGER NOT NULL CHECK (floor >= 1)
) STRICT;

-- What answers with noise cost; `answer` is what was answered, and is charged once.
CREATE TABLE privacy_charges (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    answer BLOB NOT NULL UNIQUE CHECK (length(answer) = 32),
    dataset TEXT NOT NULL,
    study TEXT NOT NULL,
    job TEXT NOT NULL,
    rho_nano INTEGER NOT NULL CHECK (rho_nano >= 0),
    epsilon_nano INTEGER NOT NULL,
    delta_atto INTEGER NOT NULL,
    at_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX privacy_charges_by_dataset ON privacy_charges (dataset, at_ms);
CREATE TRIGGER privacy_charges_are_append_only_1 BEFORE UPDATE ON privacy_charges
BEGIN SELECT RAISE(ABORT, 'what was spent stays spent'); END;
CREATE TRIGGER privacy_charges_are_append_only_2 BEFORE DELETE ON privacy_charges
BEGIN SELECT RAISE(ABORT, 'what was spent stays spent'); END;

-- Cohorts that answers showed; `rows` is sealed. `digest` is of the rows, so that the same cohort is kept once.
CREATE TABLE cohorts (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    dataset TEXT NOT NULL,
    version TEXT NOT NULL,
    who TEXT NOT NULL,
    digest BLOB NOT NULL CHECK (length(digest) = 32),
    rows BLOB NOT NULL,
    UNIQUE (dataset, version, who, digest)
) STRICT;
