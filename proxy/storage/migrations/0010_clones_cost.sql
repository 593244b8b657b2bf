-- What a row of usage was for: speech, or a clone at a provider.
ALTER TABLE usage ADD COLUMN kind TEXT NOT NULL DEFAULT 'speech';

-- The key of the account that ordered a clone and pays for it. Without one the operator does: nobody had agreed
-- to a price for what was ordered before.
ALTER TABLE bindings ADD COLUMN payer TEXT NOT NULL DEFAULT '';

-- The clones that an account has had in each of its cycles, those that are being made too. Deleting one gives
-- nothing back. `last` is the binding that was counted last.
CREATE TABLE clone_counts (
    account TEXT NOT NULL,
    cycle   BIGINT NOT NULL,
    used    BIGINT NOT NULL,
    last    TEXT NOT NULL,
    PRIMARY KEY (account, cycle)
);

-- Requests that were refused before they cost anything, added up: `at` is the start of the day, UTC.
CREATE TABLE refusals (
    account TEXT NOT NULL,
    key     TEXT NOT NULL,
    at      BIGINT NOT NULL,
    route   TEXT NOT NULL,
    status  BIGINT NOT NULL,
    code    TEXT NOT NULL,
    count   BIGINT NOT NULL,
    last    BIGINT NOT NULL,
    PRIMARY KEY (at, account, key, route, status, code)
);
