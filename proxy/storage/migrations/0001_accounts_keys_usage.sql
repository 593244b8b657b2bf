-- Times are microseconds UTC. No AUTOINCREMENT, no STRICT, no TIMESTAMP: both databases read this file.

CREATE TABLE accounts (
    id      TEXT PRIMARY KEY,
    name    TEXT NOT NULL UNIQUE,
    plan    TEXT NOT NULL,
    created BIGINT NOT NULL,
    closed  BIGINT
);

-- The secret itself is nowhere: its SHA-256 finds it, its last four characters let its owner recognise it.
CREATE TABLE keys (
    id      TEXT PRIMARY KEY,
    account TEXT NOT NULL REFERENCES accounts (id),
    hash    TEXT NOT NULL UNIQUE,
    role    TEXT NOT NULL CHECK (role IN ('speech', 'admin')),
    name    TEXT NOT NULL,
    hint    TEXT NOT NULL,
    created BIGINT NOT NULL,
    expires BIGINT,
    revoked BIGINT
);

CREATE INDEX keys_by_account ON keys (account, created);

-- No foreign keys: what was spoken is on record whatever became of the account, and the row costs one insert.
CREATE TABLE usage (
    id             TEXT PRIMARY KEY,
    account        TEXT NOT NULL,
    key            TEXT NOT NULL,
    started        BIGINT NOT NULL,
    engine         TEXT NOT NULL,
    model          TEXT NOT NULL,
    voice          TEXT NOT NULL,
    language       TEXT NOT NULL,
    characters     BIGINT NOT NULL,
    samples        BIGINT NOT NULL,
    sample_rate_hz BIGINT NOT NULL,
    format         TEXT NOT NULL,
    outcome        TEXT NOT NULL CHECK (outcome IN ('finished', 'left', 'failed')),
    first_byte_ms  BIGINT,
    error          TEXT
);

CREATE INDEX usage_by_account ON usage (account, started);
CREATE INDEX usage_by_time ON usage (started);
