-- Heads of audit chains that the transparency log has, with their proofs. Never edited once landed.
CREATE TABLE audit_heads (
    owner TEXT NOT NULL,
    count INTEGER NOT NULL,
    checkpoint TEXT NOT NULL,
    PRIMARY KEY (owner, count)
) STRICT, WITHOUT ROWID;

-- The node's signature over the floor: nobody without its key lowers what is stored.
ALTER TABLE consortium_floor ADD COLUMN signature BLOB;
