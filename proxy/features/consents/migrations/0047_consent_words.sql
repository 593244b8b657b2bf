-- What the recording of a consent says of its phrase: match, differs, unsure or unchecked.
ALTER TABLE consents ADD COLUMN words TEXT NOT NULL DEFAULT 'unchecked';

-- A recording that is still to be heard: a task until its words are stored. `id` is that of its consent, clip or voice.
CREATE TABLE hearings (
    id      TEXT PRIMARY KEY,
    account TEXT NOT NULL,
    due     BIGINT NOT NULL DEFAULT 0,
    lease   BIGINT NOT NULL DEFAULT 0,
    fence   BIGINT NOT NULL DEFAULT 0,
    tries   BIGINT NOT NULL DEFAULT 0,
    error   TEXT NOT NULL DEFAULT ''
);

-- The seconds that were heard for an account for nothing, on the last day with any. `last` is the last hearing.
CREATE TABLE free_hearing (
    account TEXT PRIMARY KEY,
    day     BIGINT NOT NULL,
    seconds DOUBLE PRECISION NOT NULL,
    last    TEXT NOT NULL
);
