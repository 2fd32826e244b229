-- For whom, why, over what and from where a job was asked: JSON of the audit trail's circumstances.
ALTER TABLE jobs ADD COLUMN context TEXT NOT NULL DEFAULT '{}';

-- Heads of audit chains that the transparency log has, with their proofs. Never edited once landed.
CREATE TABLE audit_heads (
    owner TEXT NOT NULL,
    count INTEGER NOT NULL,
    checkpoint TEXT NOT NULL,
    PRIMARY KEY (owner, count)
) STRICT, WITHOUT ROWID;
