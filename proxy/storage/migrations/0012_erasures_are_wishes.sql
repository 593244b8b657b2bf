-- Who works on an erasure has its lease. Who has begun it has fence 1, and any later holder a higher one.
ALTER TABLE erasures ADD COLUMN due BIGINT NOT NULL DEFAULT 0;
ALTER TABLE erasures ADD COLUMN lease BIGINT NOT NULL DEFAULT 0;
ALTER TABLE erasures ADD COLUMN fence BIGINT NOT NULL DEFAULT 1;
ALTER TABLE erasures ADD COLUMN tries BIGINT NOT NULL DEFAULT 0;
ALTER TABLE erasures ADD COLUMN error TEXT NOT NULL DEFAULT '';
