-- People who sign in. An `address` is in its folded form, to which mails go; `key` is their own row in `keys`.
-- `mails` is 1 if they want to hear of trainings and jobs.
CREATE TABLE users (
    id          TEXT PRIMARY KEY,
    account     TEXT NOT NULL REFERENCES accounts (id),
    key         TEXT NOT NULL REFERENCES keys (id),
    address     TEXT NOT NULL UNIQUE,
    language    TEXT NOT NULL,
    is_operator BIGINT NOT NULL,
    mails       BIGINT NOT NULL,
    created     BIGINT NOT NULL
);
CREATE INDEX users_by_account ON users (account, created);

-- Requests to sign in, and invitations. `token` and `code` are digests; `tries` counts codes that were tried. `network`
-- is the asker's. `account` is the one that an invited person joins, or '' for a new one. `session` is the one that was
-- made, and `made_from` the network where that made a new account. A row of an erased user has no address any more.
CREATE TABLE sign_ins (
    id          TEXT PRIMARY KEY,
    address     TEXT NOT NULL,
    language    TEXT NOT NULL,
    network     TEXT NOT NULL,
    token       TEXT NOT NULL,
    code        TEXT NOT NULL,
    tries       BIGINT NOT NULL DEFAULT 0,
    created     BIGINT NOT NULL,
    until       BIGINT NOT NULL,
    is_invite   BIGINT NOT NULL,
    account     TEXT NOT NULL,
    is_operator BIGINT NOT NULL,
    session     TEXT NOT NULL DEFAULT '',
    made_from   TEXT NOT NULL DEFAULT ''
);
CREATE INDEX sign_ins_by_address ON sign_ins (address, created);
CREATE INDEX sign_ins_by_network ON sign_ins (network, created);
CREATE INDEX sign_ins_by_maker ON sign_ins (made_from, created);

-- `hash` is the digest of the cookie. `created` is the sign-in, and `seen` the last use, to the hour.
CREATE TABLE sessions (
    id      TEXT PRIMARY KEY,
    user_id TEXT NOT NULL,
    hash    TEXT NOT NULL UNIQUE,
    created BIGINT NOT NULL,
    seen    BIGINT NOT NULL
);
CREATE INDEX sessions_by_user ON sessions (user_id, created);
