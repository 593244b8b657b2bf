-- The object of a recording. Rows of earlier versions have '', and their object has the name of the digest.
-- readable_from: 38
ALTER TABLE blobs ADD COLUMN object TEXT NOT NULL DEFAULT '';
