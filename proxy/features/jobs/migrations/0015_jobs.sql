-- Speech that outlives its request. `digest` is the text among the account's sealed blobs, and `sealed` has the
-- other fields of the request, under a key of the job's own that is in `wrapped`. `state` is open, done, failed or
-- canceled. `waits` says for what an open job waits. `error` is for its owner to read.
CREATE TABLE jobs (
    id         TEXT PRIMARY KEY,
    account    TEXT NOT NULL REFERENCES accounts (id),
    key        TEXT NOT NULL,
    state      TEXT NOT NULL,
    created    BIGINT NOT NULL,
    ended      BIGINT,
    format     TEXT NOT NULL,
    characters BIGINT NOT NULL,
    steps      BIGINT NOT NULL,
    waits      TEXT NOT NULL,
    error      TEXT NOT NULL,
    digest     TEXT NOT NULL,
    wrapped    TEXT NOT NULL,
    sealed     TEXT NOT NULL
);
CREATE INDEX jobs_by_account ON jobs (account, created);
CREATE INDEX jobs_by_end ON jobs (ended);
CREATE INDEX jobs_by_digest ON jobs (account, digest);

-- The pieces of a job's text, from character `first` up to `last`. `state` is wanted, done, failed or canceled.
-- `asked` is when the job came: nothing makes a step due before it.
CREATE TABLE job_steps (
    id      TEXT PRIMARY KEY,
    job     TEXT NOT NULL REFERENCES jobs (id),
    account TEXT NOT NULL,
    number  BIGINT NOT NULL,
    first   BIGINT NOT NULL,
    last    BIGINT NOT NULL,
    state   TEXT NOT NULL,
    asked   BIGINT NOT NULL,
    due     BIGINT NOT NULL,
    lease   BIGINT NOT NULL,
    fence   BIGINT NOT NULL,
    tries   BIGINT NOT NULL,
    error   TEXT NOT NULL
);
CREATE INDEX job_steps_by_job ON job_steps (job, number);
CREATE INDEX job_steps_wanted ON job_steps (account, due, id) WHERE state = 'wanted';

-- The sound of a step, written in the commit of its charge: so there is one of each, or none. `request` is the
-- charged one. `voices` are the saved ones that spoke, each between blanks.
CREATE TABLE job_clips (
    step           TEXT PRIMARY KEY REFERENCES job_steps (id),
    job            TEXT NOT NULL,
    account        TEXT NOT NULL,
    number         BIGINT NOT NULL,
    request        TEXT NOT NULL,
    digest         TEXT NOT NULL,
    bytes          BIGINT NOT NULL,
    samples        BIGINT NOT NULL,
    sample_rate_hz BIGINT NOT NULL,
    voices         TEXT NOT NULL
);
CREATE INDEX job_clips_by_job ON job_clips (job, number);
CREATE INDEX job_clips_by_digest ON job_clips (account, digest);
CREATE INDEX job_clips_by_voices ON job_clips (voices) WHERE voices <> '';
