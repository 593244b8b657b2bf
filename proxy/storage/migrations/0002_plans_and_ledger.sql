-- What was agreed with one account, and what one key may do: JSON objects, "{}" where it is the plan's word.
-- Cycles are counted from the anchor, which a change of plan leaves alone.
ALTER TABLE accounts ADD COLUMN anchor BIGINT NOT NULL DEFAULT 0;
ALTER TABLE accounts ADD COLUMN agreed TEXT NOT NULL DEFAULT '{}';
UPDATE accounts SET anchor = created;
ALTER TABLE keys ADD COLUMN caps TEXT NOT NULL DEFAULT '{}';

-- Append-only. A pool is 0 for granted credits, else the start of the cycle whose allowance is meant. Amounts
-- are micro-credits, below zero for what is spent.
CREATE TABLE entries (
    id        TEXT PRIMARY KEY,
    account   TEXT NOT NULL,
    pool      BIGINT NOT NULL,
    amount    BIGINT NOT NULL,
    kind      TEXT NOT NULL CHECK (kind IN ('spend', 'grant', 'refund', 'correction')),
    at        BIGINT NOT NULL,
    request   TEXT,
    reference TEXT,
    reason    TEXT NOT NULL,
    actor     TEXT NOT NULL
);

CREATE INDEX entries_by_account ON entries (account, at);
-- Of the few that have one: the others would only make every request dearer.
CREATE UNIQUE INDEX entries_by_reference ON entries (reference) WHERE reference IS NOT NULL;

-- The sums of the entries, kept in the same unit of work that adds one: `voxgate ledger verify` compares.
CREATE TABLE balances (
    account TEXT NOT NULL,
    pool    BIGINT NOT NULL,
    amount  BIGINT NOT NULL,
    PRIMARY KEY (account, pool)
);

-- Requests under way, where several workers share an account. One with `expires` in the past counts no more.
CREATE TABLE holds (
    request   TEXT PRIMARY KEY,
    account   TEXT NOT NULL,
    key       TEXT NOT NULL,
    worker    TEXT NOT NULL,
    pool      BIGINT NOT NULL,
    allowance BIGINT NOT NULL,
    granted   BIGINT NOT NULL,
    expires   BIGINT NOT NULL
);

CREATE INDEX holds_by_account ON holds (account);
CREATE INDEX holds_by_worker ON holds (worker);

-- What providers take, in millionths of a dollar, for every attempt: also for those that nobody was charged for.
CREATE TABLE costs (
    request    TEXT NOT NULL,
    attempt    BIGINT NOT NULL,
    account    TEXT NOT NULL,
    at         BIGINT NOT NULL,
    engine     TEXT NOT NULL,
    model      TEXT NOT NULL,
    characters BIGINT NOT NULL,
    audio_ms   BIGINT NOT NULL,
    units      DOUBLE PRECISION,
    micro_usd  BIGINT NOT NULL,
    PRIMARY KEY (request, attempt)
);

CREATE INDEX costs_by_time ON costs (at);
CREATE INDEX costs_by_engine ON costs (engine, at);
CREATE INDEX costs_by_account ON costs (account, at);

-- Who did what. The actor is a key's id, or `control` for whoever owns the server's control socket.
CREATE TABLE audit (
    id      TEXT PRIMARY KEY,
    at      BIGINT NOT NULL,
    actor   TEXT NOT NULL,
    action  TEXT NOT NULL,
    subject TEXT NOT NULL,
    account TEXT NOT NULL,
    details TEXT NOT NULL
);

CREATE INDEX audit_by_time ON audit (at);

-- The price is the one that the request's hold kept: what was charged can be computed again.
ALTER TABLE usage ADD COLUMN credits BIGINT NOT NULL DEFAULT 0;
ALTER TABLE usage ADD COLUMN price_micro BIGINT NOT NULL DEFAULT 0;
ALTER TABLE usage ADD COLUMN price_per TEXT NOT NULL DEFAULT 'job';
ALTER TABLE usage ADD COLUMN units DOUBLE PRECISION;
ALTER TABLE usage ADD COLUMN micro_usd BIGINT NOT NULL DEFAULT 0;
ALTER TABLE usage ADD COLUMN cache TEXT NOT NULL DEFAULT 'off';
ALTER TABLE usage ADD COLUMN refunded BIGINT NOT NULL DEFAULT 0;
