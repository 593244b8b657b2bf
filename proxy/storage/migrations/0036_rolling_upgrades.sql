-- `readable_from` is the oldest version that works on the database, if this migration raised it.
ALTER TABLE schema_version ADD COLUMN readable_from BIGINT NOT NULL DEFAULT 0;

-- The version that wrote a tombstone, or closed an account. A newer one erases and closes once more in the tables that it alone
-- knows. The default is the number of this migration.
ALTER TABLE erasures ADD COLUMN by_schema BIGINT NOT NULL DEFAULT 36;
ALTER TABLE accounts ADD COLUMN closed_by_schema BIGINT NOT NULL DEFAULT 36;
