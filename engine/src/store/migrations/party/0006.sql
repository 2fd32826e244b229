-- A party's database: HL7 v2 messages. Never edited once landed.
-- That a message came, and the SHA-256 of its bytes; the message itself is not kept.
CREATE TABLE hl7_messages (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    sender TEXT NOT NULL,
    control_id TEXT NOT NULL,
    digest BLOB NOT NULL CHECK (length(digest) = 32),
    kind TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    UNIQUE (sender, control_id)
) STRICT;

-- What messages say, as of the last one: keys and patients are keyed hashes, fields are sealed. An item that was
-- removed stays without fields, so that an older message does not bring it back.
CREATE TABLE hl7_items (
    kind TEXT NOT NULL,
    key BLOB NOT NULL CHECK (length(key) = 32),
    patient BLOB NOT NULL CHECK (length(patient) = 32),
    sent_us INTEGER NOT NULL,
    message INTEGER NOT NULL REFERENCES hl7_messages (number),
    fields BLOB,
    PRIMARY KEY (kind, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX hl7_items_by_patient ON hl7_items (patient);
