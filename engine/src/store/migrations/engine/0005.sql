-- Studies, and the words of hospitals and their administrators on them. A study never changes but for its closing.
CREATE TABLE studies (
    id TEXT PRIMARY KEY,
    digest BLOB NOT NULL CHECK (length(digest) = 32),
    json TEXT NOT NULL,
    drafter TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    closed_ms INTEGER
) STRICT;

-- `admin` is empty for the hospital's own word.
CREATE TABLE study_words (
    study TEXT NOT NULL REFERENCES studies (id),
    hospital TEXT NOT NULL,
    admin TEXT NOT NULL,
    json TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    PRIMARY KEY (study, hospital, admin)
) STRICT, WITHOUT ROWID;
