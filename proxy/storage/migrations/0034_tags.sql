-- The client's own word for a request, '' for none: sums of usage are by it. A cost has that of its run on a rented machine;
-- the others are in a row of usage. A clone's row of usage gets the tag of the request that asked for the clone.
ALTER TABLE usage ADD COLUMN tag TEXT NOT NULL DEFAULT '';
ALTER TABLE costs ADD COLUMN tag TEXT NOT NULL DEFAULT '';
ALTER TABLE bindings ADD COLUMN tag TEXT NOT NULL DEFAULT '';
