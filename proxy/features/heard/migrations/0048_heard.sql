-- What was checked and charged of a request, and what was free since it was said wrong: free speech is bounded by both.
CREATE TABLE heard_spans (
    request    TEXT PRIMARY KEY,
    account    TEXT NOT NULL,
    at         BIGINT NOT NULL,
    charged_ms BIGINT NOT NULL,
    free_ms    BIGINT NOT NULL
);
CREATE INDEX heard_spans_of_account ON heard_spans (account, at, charged_ms);
CREATE INDEX free_heard_spans ON heard_spans (account, at, free_ms) WHERE free_ms > 0;

-- How often a voice was heard wrong, by day. Rows have no text and no account; those of a saved voice go with it.
CREATE TABLE heard_rates (
    voice    TEXT NOT NULL,
    engine   TEXT NOT NULL,
    model    TEXT NOT NULL,
    language TEXT NOT NULL,
    ears     TEXT NOT NULL,
    day      BIGINT NOT NULL,
    words    BIGINT NOT NULL,
    wrong    BIGINT NOT NULL,
    unsure   BIGINT NOT NULL,
    again    BIGINT NOT NULL,
    PRIMARY KEY (voice, engine, model, language, ears, day)
);
CREATE INDEX heard_rates_by_day ON heard_rates (day);
