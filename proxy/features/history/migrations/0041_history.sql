-- Requests that were to be kept: `id` is the request's, as in usage. `voices` are the saved ones that may have spoken, each
-- between blanks. `digest` is the sound among the account's sealed blobs, '' for none: `sound_bytes` in `sound_format`.
-- `bytes` counts all that is kept of it. `sealed` has the request, under a key of the row's own that is in `wrapped`.
CREATE TABLE history (
    id           TEXT PRIMARY KEY,
    account      TEXT NOT NULL REFERENCES accounts (id),
    created      BIGINT NOT NULL,
    operation    TEXT NOT NULL,
    model        TEXT NOT NULL,
    voice        TEXT NOT NULL,
    language     TEXT NOT NULL,
    format       TEXT NOT NULL,
    characters   BIGINT NOT NULL,
    seconds      DOUBLE PRECISION NOT NULL,
    tag          TEXT NOT NULL,
    voices       TEXT NOT NULL,
    digest       TEXT NOT NULL,
    sound_format TEXT NOT NULL,
    sound_bytes  BIGINT NOT NULL,
    bytes        BIGINT NOT NULL,
    wrapped      TEXT NOT NULL,
    sealed       TEXT NOT NULL
);
-- Sums of `bytes` are read from the index alone.
CREATE INDEX history_by_account ON history (account, created, id, bytes);
CREATE INDEX history_by_age ON history (created);
CREATE INDEX history_by_digest ON history (account, digest);
CREATE INDEX history_by_voices ON history (voices) WHERE voices <> '';
