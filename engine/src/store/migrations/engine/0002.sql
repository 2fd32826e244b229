-- Retention and search of the audit chain. Never edited once landed.
-- An event's payload may be taken away, and nothing else of a row may change.
DROP TRIGGER audit_is_append_only_1;
CREATE TRIGGER audit_is_append_only_1 BEFORE UPDATE ON audit
WHEN NEW.seq IS NOT OLD.seq OR NEW.prev_hash IS NOT OLD.prev_hash OR NEW.hash IS NOT OLD.hash
  OR NEW.signature IS NOT OLD.signature
  OR json_type(OLD.event, '$.whole') IS NOT 'object' OR json_type(NEW.event, '$.redacted') IS NOT 'object'
BEGIN SELECT RAISE(ABORT, 'the audit chain is append-only'); END;
CREATE INDEX audit_actor ON audit (event ->> '$.whole.event.actor', seq);
CREATE INDEX audit_patient ON audit (event ->> '$.whole.event.context.patient', seq);
CREATE INDEX audit_at ON audit (event ->> '$.whole.event.at_ms', seq);
