-- The saved voice whose recording a job has, '' for none. The erasure of the voice removes the job.
ALTER TABLE jobs ADD COLUMN voice TEXT NOT NULL DEFAULT '';
