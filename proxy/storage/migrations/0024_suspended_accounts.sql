-- Since when an account is suspended, and when the last suspension ended. Meanwhile its keys are refused, and nothing
-- of it is deleted.
ALTER TABLE accounts ADD COLUMN suspended BIGINT;
ALTER TABLE accounts ADD COLUMN resumed BIGINT NOT NULL DEFAULT 0;
