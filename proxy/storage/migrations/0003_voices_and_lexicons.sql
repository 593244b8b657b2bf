-- The library: voices that were saved here. Without an account it is the operator's, for everybody. `members` is
-- a cast's, a JSON object of who speaks with which voice; the revision rises when a voice sounds otherwise. By
-- `tags`, a JSON array, and the description it is found.
CREATE TABLE voices (
    id       TEXT PRIMARY KEY,
    account  TEXT REFERENCES accounts (id),
    name     TEXT NOT NULL,
    kind     TEXT NOT NULL CHECK (kind IN ('sample', 'mix', 'cast', 'catalogue')),
    revision BIGINT NOT NULL DEFAULT 1,
    created  BIGINT NOT NULL,
    members  TEXT NOT NULL DEFAULT '{}',
    tags     TEXT NOT NULL DEFAULT '[]',
    description TEXT NOT NULL DEFAULT ''
);

-- Of the operator's, too, each has a name of its own: NULL would be no name's equal.
CREATE UNIQUE INDEX voices_by_name ON voices (coalesce(account, ''), name);

-- How an account's words are spoken: a JSON object. The revision rises with each change.
CREATE TABLE lexicons (
    account  TEXT NOT NULL REFERENCES accounts (id),
    name     TEXT NOT NULL,
    words    TEXT NOT NULL,
    revision BIGINT NOT NULL,
    changed  BIGINT NOT NULL,
    PRIMARY KEY (account, name)
);
