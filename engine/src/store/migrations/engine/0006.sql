-- The engine's database, version 6: the course of ceremonies that make the proof system's keys. Never edited once landed.

-- Everything that happened in a ceremony, in order: who began, offered, was passed over, contributed. `step` is JSON.
CREATE TABLE setup_steps (
    job TEXT NOT NULL REFERENCES jobs (id),
    seq INTEGER NOT NULL,
    at_ms INTEGER NOT NULL,
    step TEXT NOT NULL,
    PRIMARY KEY (job, seq)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER setup_steps_is_append_only_1 BEFORE UPDATE ON setup_steps
BEGIN SELECT RAISE(ABORT, 'the course of a ceremony is append-only'); END;
CREATE TRIGGER setup_steps_is_append_only_2 BEFORE DELETE ON setup_steps
BEGIN SELECT RAISE(ABORT, 'the course of a ceremony is append-only'); END;
