-- For what the speaker's voice may be used, as JSON: speech, conversion, training. Older consents named nothing,
-- and nobody trained voices then.
ALTER TABLE consents ADD COLUMN uses TEXT NOT NULL DEFAULT '["speech","conversion"]';
