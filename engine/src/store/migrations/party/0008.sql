-- A party's database: documents. Never edited once landed. `facts` is sealed; the content lies elsewhere, sealed too.
CREATE TABLE documents (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    data_key INTEGER NOT NULL REFERENCES data_keys (number) ON DELETE CASCADE,
    facts BLOB NOT NULL,
    digest BLOB NOT NULL CHECK (length(digest) = 32),
    blinded BLOB NOT NULL CHECK (length(blinded) = 32),
    at_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX documents_by_key ON documents (data_key);
