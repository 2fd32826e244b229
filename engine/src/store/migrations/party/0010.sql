-- A party's database: what HL7 v2 messages said, under keys of their patients; records that were shared. Never edited
-- once landed. `fields` is sealed under the item's data key.
ALTER TABLE hl7_items ADD COLUMN data_key INTEGER REFERENCES data_keys (number) ON DELETE CASCADE;
CREATE INDEX hl7_items_by_key ON hl7_items (data_key);
CREATE INDEX hl7_items_by_message ON hl7_items (message);

-- Whose a message is. Its `digest` is of its SHA-256, keyed with each of these, in the order of `position`.
CREATE TABLE hl7_message_keys (
    message INTEGER NOT NULL REFERENCES hl7_messages (number) ON DELETE CASCADE,
    position INTEGER NOT NULL,
    data_key INTEGER NOT NULL REFERENCES data_keys (number) ON DELETE CASCADE,
    PRIMARY KEY (message, position)
) STRICT, WITHOUT ROWID;
CREATE INDEX hl7_message_keys_by_key ON hl7_message_keys (data_key);

-- Records that were sealed for somebody elsewhere. `house` is the id of the house's key that they were sealed for, where
-- they were: whoever that house grants reads them too.
CREATE TABLE shares (
    id TEXT PRIMARY KEY,
    data_key INTEGER NOT NULL REFERENCES data_keys (number) ON DELETE CASCADE,
    what TEXT NOT NULL,
    purpose TEXT NOT NULL,
    recipient TEXT NOT NULL,
    house BLOB CHECK (length(house) = 32),
    policy TEXT NOT NULL,
    at_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX shares_by_key ON shares (data_key);
CREATE INDEX shares_by_house ON shares (house);

-- Whom a house's key lets read what was sealed for it.
CREATE TABLE share_grants (
    house BLOB NOT NULL CHECK (length(house) = 32),
    recipient_id BLOB NOT NULL CHECK (length(recipient_id) = 32),
    recipient TEXT NOT NULL,
    purpose TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    PRIMARY KEY (house, recipient_id)
) STRICT, WITHOUT ROWID;
