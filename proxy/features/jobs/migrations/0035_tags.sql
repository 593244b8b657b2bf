-- The tag of a job's request, '' for none. Its steps have it, unless a line of a batch has its own.
ALTER TABLE jobs ADD COLUMN tag TEXT NOT NULL DEFAULT '';
ALTER TABLE trainings ADD COLUMN tag TEXT NOT NULL DEFAULT '';
ALTER TABLE remote_runs ADD COLUMN tag TEXT NOT NULL DEFAULT '';
