-- What came of the check of an answer, as JSON without its words, '' without a check.
ALTER TABLE usage ADD COLUMN checked TEXT NOT NULL DEFAULT '';
