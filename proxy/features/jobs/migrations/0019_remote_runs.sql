-- Pieces of work on rented machines. One piece may need several runs, one after the other: `number` counts them.
-- The row is committed before the provider is asked. `state` is starting or running, then done, failed, canceled,
-- lost or refused. `name` is the provider's, '' until it is known. `content` stands for what is worked on, and
-- `samples` are the recordings that left for it, each between blanks. Until `asked_by` its `submit` may be under
-- way, and after `over_at` it surely runs no more. `most_micro_usd` is reserved while it is open; `micro_usd` is
-- what it was charged.
CREATE TABLE remote_runs (
    id             TEXT PRIMARY KEY,
    piece          TEXT NOT NULL,
    number         BIGINT NOT NULL,
    engine         TEXT NOT NULL,
    runner         TEXT NOT NULL,
    account        TEXT NOT NULL,
    job            TEXT NOT NULL,
    step           TEXT NOT NULL,
    content        TEXT NOT NULL,
    samples        TEXT NOT NULL,
    state          TEXT NOT NULL,
    name           TEXT NOT NULL,
    begun          BIGINT NOT NULL,
    asked_by       BIGINT NOT NULL,
    over_at        BIGINT NOT NULL,
    ended          BIGINT,
    most_micro_usd BIGINT NOT NULL,
    micro_usd      BIGINT NOT NULL
);
CREATE UNIQUE INDEX remote_runs_by_piece ON remote_runs (piece, number);
CREATE INDEX remote_runs_open ON remote_runs (engine) WHERE ended IS NULL;
CREATE INDEX remote_runs_by_job ON remote_runs (job) WHERE job <> '';
CREATE INDEX remote_runs_by_end ON remote_runs (ended);

-- What engines at runners have said that they have. `subject` is a digest of where they are. Who begins a run
-- holds the row of its engine.
CREATE TABLE remote_engines (
    engine  TEXT PRIMARY KEY,
    subject TEXT NOT NULL,
    hello   TEXT NOT NULL
);
