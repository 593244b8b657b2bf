-- Voices that people own: from samples of their speech, or mixed of other voices. What names a person (the voice's
-- name, description, tags, labels, and the words of its samples) is in `sealed`, under a key of the voice's own that
-- is in `wrapped`, under the server's master key. Then `name` is a digest that only this account's key makes. A cast
-- has neither: its name is in `name`. An erased voice has no row here: it goes in the commit of its tombstone in
-- `erasures`. `quality` is low, medium or high. `consent` is that of the speaker, and `compared` a JSON object with the
-- answer of the comparison with it. `used` is the day on which it last spoke. `request` is a digest of the
-- request with an Idempotency-Key that made a cast; that of a sealed voice is in `sealed`.
ALTER TABLE voices ADD COLUMN language TEXT;
ALTER TABLE voices ADD COLUMN gender TEXT;
ALTER TABLE voices ADD COLUMN labels TEXT NOT NULL DEFAULT '{}';
ALTER TABLE voices ADD COLUMN quality TEXT;
ALTER TABLE voices ADD COLUMN consent TEXT;
ALTER TABLE voices ADD COLUMN compared TEXT NOT NULL DEFAULT '{}';
ALTER TABLE voices ADD COLUMN used BIGINT;
ALTER TABLE voices ADD COLUMN wrapped TEXT NOT NULL DEFAULT '';
ALTER TABLE voices ADD COLUMN sealed TEXT NOT NULL DEFAULT '';
ALTER TABLE voices ADD COLUMN request TEXT NOT NULL DEFAULT '';
CREATE INDEX voices_by_account ON voices (account, created);
CREATE INDEX voices_by_consent ON voices (consent);

-- The random key by which the digests of an account's recordings are made. Nobody else's are like them. The
-- operator's account is ''.
CREATE TABLE account_keys (
    account TEXT PRIMARY KEY,
    wrapped TEXT NOT NULL
);

-- Sealed recordings. The bytes are files. Without its row a file has no key and is deleted.
CREATE TABLE blobs (
    account TEXT NOT NULL,
    digest  TEXT NOT NULL,
    wrapped TEXT NOT NULL,
    size    BIGINT NOT NULL,
    created BIGINT NOT NULL,
    PRIMARY KEY (account, digest)
);

-- The recordings of a voice, in order. `quality` is a JSON object.
CREATE TABLE samples (
    voice   TEXT NOT NULL REFERENCES voices (id),
    number  BIGINT NOT NULL,
    account TEXT NOT NULL,
    digest  TEXT NOT NULL,
    tag     TEXT NOT NULL DEFAULT '',
    seconds DOUBLE PRECISION NOT NULL,
    quality TEXT NOT NULL DEFAULT '{}',
    PRIMARY KEY (voice, number)
);
CREATE INDEX samples_by_digest ON samples (account, digest);

-- A speaker's consent: a recording of the phrase, or a statement. `providers` is a JSON array of the engines that may
-- receive the voice, or empty for all. The name and the statement are in `sealed`, as with voices.
CREATE TABLE consents (
    id        TEXT PRIMARY KEY,
    account   TEXT NOT NULL REFERENCES accounts (id),
    kind      TEXT NOT NULL CHECK (kind IN ('recording', 'statement')),
    language  TEXT NOT NULL,
    digest    TEXT,
    seconds   DOUBLE PRECISION,
    quality   TEXT NOT NULL DEFAULT '{}',
    providers TEXT NOT NULL DEFAULT '',
    made_by   TEXT NOT NULL,
    created   BIGINT NOT NULL,
    wrapped   TEXT NOT NULL,
    sealed    TEXT NOT NULL
);
CREATE INDEX consents_by_account ON consents (account, created);
CREATE INDEX consents_by_digest ON consents (account, digest);

-- A voice on an engine that keeps it itself, under one credential of that engine. `state` is wanted, making, ready,
-- failed, expired, stranded or doomed. Who works on a row holds its lease until then, under `fence`. `due` is when
-- there is next something to do. A doomed row outlives its voice until the provider has deleted its copy. `name`
-- is written before the provider is asked: its id there, or its name if the provider makes ids (`engine_voice`).
CREATE TABLE bindings (
    id           TEXT PRIMARY KEY,
    voice        TEXT NOT NULL,
    account      TEXT NOT NULL,
    revision     BIGINT NOT NULL,
    engine       TEXT NOT NULL,
    credential   TEXT NOT NULL,
    name         TEXT NOT NULL DEFAULT '',
    engine_voice TEXT NOT NULL DEFAULT '',
    state        TEXT NOT NULL,
    fence        BIGINT NOT NULL DEFAULT 0,
    lease        BIGINT NOT NULL DEFAULT 0,
    due          BIGINT NOT NULL DEFAULT 0,
    tries        BIGINT NOT NULL DEFAULT 0,
    made         BIGINT,
    used         BIGINT,
    expires      BIGINT,
    error        TEXT NOT NULL DEFAULT ''
);
CREATE INDEX bindings_by_voice ON bindings (voice);
CREATE INDEX bindings_by_due ON bindings (state, due);
CREATE UNIQUE INDEX bindings_by_place ON bindings (voice, engine, credential) WHERE state <> 'doomed';

-- The name of this database among the voices of a provider's account, in its only row.
CREATE TABLE installation (
    number BIGINT PRIMARY KEY CHECK (number = 1),
    id     TEXT NOT NULL
);

-- The erasure of a voice or a consent: its tombstone. Whatever is derived of a voice asks here, in its own commit,
-- before it is kept. `digests` is a JSON array of the recordings that hosts have to drop. It is complete when all
-- have, and stays as the receipt.
CREATE TABLE erasures (
    subject   TEXT PRIMARY KEY,
    account   TEXT NOT NULL,
    digests   TEXT NOT NULL DEFAULT '[]',
    began     BIGINT NOT NULL,
    completed BIGINT,
    pending   TEXT NOT NULL DEFAULT '[]'
);
CREATE INDEX erasures_by_completed ON erasures (completed);
CREATE INDEX erasures_by_began ON erasures (began);
