-- Files with the lines of batches. `digest` is the file among the account's sealed blobs, and `sealed` has its name,
-- under a key of the row's own that is in `wrapped`. What batches give are no files: it is made of their clips.
CREATE TABLE job_files (
    id      TEXT PRIMARY KEY,
    account TEXT NOT NULL REFERENCES accounts (id),
    created BIGINT NOT NULL,
    expires BIGINT NOT NULL,
    bytes   BIGINT NOT NULL,
    digest  TEXT NOT NULL,
    wrapped TEXT NOT NULL,
    sealed  TEXT NOT NULL
);
CREATE INDEX job_files_by_account ON job_files (account, created);
CREATE INDEX job_files_by_end ON job_files (expires);
CREATE INDEX job_files_by_digest ON job_files (account, digest);

CREATE INDEX jobs_open_batches ON jobs (created) WHERE kind = 'batch' AND state = 'open';
