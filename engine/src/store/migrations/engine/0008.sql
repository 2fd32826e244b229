-- The engine's database, version 8: what issuers of credentials published. Never edited once landed.

-- `word` is the issuer's signed word (JSON), `leaf` its digest in the log, `body` the blob with word and documents.
CREATE TABLE issuer_publications (
    issuer TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    organisation TEXT NOT NULL,
    publisher TEXT NOT NULL,
    identity BLOB NOT NULL CHECK (length(identity) = 32),
    leaf BLOB NOT NULL CHECK (length(leaf) = 32),
    leaf_index INTEGER NOT NULL,
    word TEXT NOT NULL,
    body BLOB NOT NULL CHECK (length(body) = 32),
    at_ms INTEGER NOT NULL,
    PRIMARY KEY (issuer, sequence)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER issuer_publications_are_append_only_1 BEFORE UPDATE ON issuer_publications
BEGIN SELECT RAISE(ABORT, 'what issuers published is append-only'); END;
CREATE TRIGGER issuer_publications_are_append_only_2 BEFORE DELETE ON issuer_publications
BEGIN SELECT RAISE(ABORT, 'what issuers published is append-only'); END;
