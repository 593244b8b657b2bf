-- A job that is said again looks for clips of an earlier one.
CREATE INDEX CONCURRENTLY job_clips_by_fingerprint ON job_clips (job, fingerprint) WHERE fingerprint <> '';
