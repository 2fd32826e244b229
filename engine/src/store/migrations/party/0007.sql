-- A party's database: keys of patients' records, wrapped, and consents sealed under them. Never edited once landed.
-- A row that is sealed under a key names it: a patient is erased by deleting the keys, and what names them.
CREATE TABLE data_keys (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    pseudonym BLOB NOT NULL CHECK (length(pseudonym) = 32),
    class TEXT NOT NULL,
    version INTEGER NOT NULL CHECK (version >= 1),
    wrapped BLOB NOT NULL,
    at_ms INTEGER NOT NULL,
    UNIQUE (pseudonym, class)
) STRICT;
CREATE INDEX data_keys_by_version ON data_keys (version);

-- The version of the key-encryption key below which no key is kept any more.
CREATE TABLE kek_minimum (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    version INTEGER NOT NULL CHECK (version >= 1)
) STRICT;

-- Who was erased, after which change of the consents; open while it happens, in one transaction.
CREATE TABLE erasures (
    change INTEGER PRIMARY KEY,
    pseudonym BLOB NOT NULL CHECK (length(pseudonym) = 32),
    keys INTEGER NOT NULL,
    at_ms INTEGER NOT NULL,
    is_open INTEGER NOT NULL CHECK (is_open IN (0, 1))
) STRICT;
CREATE INDEX erasures_by_patient ON erasures (pseudonym);

-- `sealed` holds what `rule` and `provenance`, and `reason`, held before; `source` is a keyed digest now.
ALTER TABLE consents ADD COLUMN data_key INTEGER REFERENCES data_keys (number);
ALTER TABLE consents ADD COLUMN sealed BLOB;
ALTER TABLE consent_changes ADD COLUMN sealed BLOB;
CREATE INDEX consents_by_key ON consents (data_key);

DROP TRIGGER consent_changes_are_append_only_1;
CREATE TRIGGER consent_changes_are_append_only_1 BEFORE UPDATE ON consent_changes
WHEN OLD.sealed IS NOT NULL OR NEW.sealed IS NULL OR NEW.reason IS NOT ''
  OR NEW.change IS NOT OLD.change OR NEW.number IS NOT OLD.number OR NEW.version IS NOT OLD.version
  OR NEW.status IS NOT OLD.status OR NEW.at_ms IS NOT OLD.at_ms OR NEW.signature IS NOT OLD.signature
BEGIN SELECT RAISE(ABORT, 'the history of consents is append-only'); END;
DROP TRIGGER consent_changes_are_append_only_2;
CREATE TRIGGER consent_changes_are_append_only_2 BEFORE DELETE ON consent_changes
WHEN NOT EXISTS (
    SELECT 1 FROM consents c JOIN erasures e ON e.pseudonym = c.pseudonym
    WHERE c.number = OLD.number AND e.is_open = 1
)
BEGIN SELECT RAISE(ABORT, 'the history of consents is append-only'); END;
