-- The id of the key by which a host announced itself. NULL: the row is no host, or an older server wrote it.
ALTER TABLE machines ADD COLUMN announced_by TEXT;
