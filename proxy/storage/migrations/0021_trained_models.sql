-- Models that were trained for voices: of each voice one for each format. The file is sealed, and `digest` names it.
-- `account` is '' for a voice of the operator's. `origin` is import or training.
CREATE TABLE trained_models (
    id      TEXT PRIMARY KEY,
    voice   TEXT NOT NULL REFERENCES voices (id),
    account TEXT NOT NULL,
    format  TEXT NOT NULL,
    digest  TEXT NOT NULL,
    bytes   BIGINT NOT NULL,
    origin  TEXT NOT NULL,
    created BIGINT NOT NULL
);
CREATE UNIQUE INDEX trained_models_by_voice ON trained_models (voice, format);
CREATE INDEX trained_models_by_digest ON trained_models (account, digest);
-- What other models have replaced. Its file is gone, but engines may still have it in memory: so an erasure of the
-- voice names it, too.
CREATE TABLE former_models (
    voice  TEXT NOT NULL REFERENCES voices (id),
    digest TEXT NOT NULL,
    PRIMARY KEY (voice, digest)
);
