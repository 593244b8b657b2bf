-- The consent by which a recording was converted. A step whose consent is gone by its commit is not charged: its row
-- refers to none.
ALTER TABLE job_clips ADD COLUMN consent TEXT REFERENCES consents (id) ON DELETE SET NULL;
CREATE INDEX job_clips_by_consent ON job_clips (consent) WHERE consent IS NOT NULL;
