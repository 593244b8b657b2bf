-- URLs that are told when something of an account has happened. `events` is a JSON array of their names. `host` is that
-- of the URL, which is in `sealed` with its name and its secrets. With an `off_reason` nothing is sent. `failing_since`
-- is the first failure after which nothing has arrived.
CREATE TABLE webhooks (
    id            TEXT PRIMARY KEY,
    account       TEXT NOT NULL REFERENCES accounts (id),
    host          TEXT NOT NULL,
    events        TEXT NOT NULL,
    created       BIGINT NOT NULL,
    changed       BIGINT NOT NULL,
    off_reason    TEXT NOT NULL DEFAULT '',
    failing_since BIGINT,
    wrapped       TEXT NOT NULL,
    sealed        TEXT NOT NULL
);
CREATE INDEX webhooks_by_account ON webhooks (account, created);

-- An event for one webhook. `event` is its id, the same in all webhooks and all tries; `data` a JSON object of ids.
-- `state` is waiting, delivered or failed. `began` is when the first of its tries was due, and 0 if there is only one.
-- `status` is that of the last answer, at `answered`.
CREATE TABLE webhook_deliveries (
    id       TEXT PRIMARY KEY,
    event    TEXT NOT NULL,
    account  TEXT NOT NULL,
    webhook  TEXT NOT NULL,
    host     TEXT NOT NULL,
    type     TEXT NOT NULL,
    data     TEXT NOT NULL,
    created  BIGINT NOT NULL,
    began    BIGINT NOT NULL,
    state    TEXT NOT NULL,
    status   BIGINT,
    answered BIGINT,
    due      BIGINT NOT NULL DEFAULT 0,
    lease    BIGINT NOT NULL DEFAULT 0,
    fence    BIGINT NOT NULL DEFAULT 0,
    tries    BIGINT NOT NULL DEFAULT 0,
    error    TEXT NOT NULL DEFAULT ''
);
CREATE INDEX webhook_deliveries_by_state ON webhook_deliveries (state, due);
CREATE INDEX webhook_deliveries_by_webhook ON webhook_deliveries (webhook, created);
