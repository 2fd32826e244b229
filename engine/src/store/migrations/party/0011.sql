-- What tells the rows of a table's version apart, so that cohorts of an earlier version are held against those of a later
-- one. `rows` is sealed. Never edited once landed.
CREATE TABLE version_rows (
    dataset TEXT NOT NULL,
    version TEXT NOT NULL,
    rows BLOB NOT NULL,
    PRIMARY KEY (dataset, version)
) STRICT, WITHOUT ROWID;
CREATE INDEX cohorts_by_researcher ON cohorts (dataset, who, seq);
