-- Texts that may have killed hosts of a cluster. `text_digest` is one under a key derived from the master key. Until `ends`,
-- a text of the kind `alone` runs alone, and one that is `refused` does not run.
CREATE TABLE text_verdicts (
    engine      TEXT NOT NULL,
    text_digest TEXT NOT NULL,
    kind        TEXT NOT NULL,
    ends        BIGINT NOT NULL,
    PRIMARY KEY (engine, text_digest)
);
