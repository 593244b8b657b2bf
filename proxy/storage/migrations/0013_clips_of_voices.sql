-- Further recordings of a voice, each with an `id`. Its words, and the digest of the request that added it, are in
-- `sealed`, under a key of its own in `wrapped`. The first recording has an empty id: its words are sealed with the
-- voice, and it goes with the voice. `tag` is the emotion of a recording, or empty.
ALTER TABLE samples ADD COLUMN id TEXT NOT NULL DEFAULT '';
ALTER TABLE samples ADD COLUMN wrapped TEXT NOT NULL DEFAULT '';
ALTER TABLE samples ADD COLUMN sealed TEXT NOT NULL DEFAULT '';
CREATE UNIQUE INDEX samples_by_id ON samples (id) WHERE id <> '';
