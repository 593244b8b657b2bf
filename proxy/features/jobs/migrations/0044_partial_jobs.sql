-- Jobs whose steps are written part by part: made, tried again, canceled or removed. `token` names the writer, until its
-- `lease` ends. Of its `steps`, `made` were written. Older servers may delete a job, so it is no reference.
CREATE TABLE partial_jobs (
    job     TEXT PRIMARY KEY,
    account TEXT NOT NULL,
    token   TEXT NOT NULL,
    lease   BIGINT NOT NULL,
    steps   BIGINT NOT NULL,
    made    BIGINT NOT NULL
);
CREATE INDEX partial_jobs_by_account ON partial_jobs (account);
