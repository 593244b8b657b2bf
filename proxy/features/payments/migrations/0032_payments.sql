-- An order of one account at one provider: what it buys, at which price, and where it is paid. `kind` is plan or pack.
-- A pack has `credits`; a plan has the `allowance` of its month, NULL if it has none. Amounts are in minor units, credits
-- and allowances in micro-credits. `state` follows from the payments. `attention` is the reason why a person must look;
-- those in `resolved`, one a line, were looked at. Each wake raises `wakes`; the owner's last look was at `looked`.
CREATE TABLE orders (
    id        TEXT PRIMARY KEY,
    account   TEXT NOT NULL REFERENCES accounts (id),
    provider  TEXT NOT NULL,
    seller    TEXT NOT NULL,
    is_live   BIGINT NOT NULL,
    kind      TEXT NOT NULL,
    offer     TEXT NOT NULL,
    title     TEXT NOT NULL,
    credits   BIGINT NOT NULL,
    allowance BIGINT,
    amount    BIGINT NOT NULL,
    currency  TEXT NOT NULL,
    created   BIGINT NOT NULL,
    expires   BIGINT NOT NULL,
    checkout  TEXT NOT NULL DEFAULT '',
    url       TEXT NOT NULL DEFAULT '',
    state     TEXT NOT NULL DEFAULT 'open',
    paid      BIGINT,
    attention TEXT NOT NULL DEFAULT '',
    resolved  TEXT NOT NULL DEFAULT '',
    wakes     BIGINT NOT NULL DEFAULT 0,
    looked    BIGINT NOT NULL DEFAULT 0,
    due       BIGINT NOT NULL DEFAULT 0,
    lease     BIGINT NOT NULL DEFAULT 0,
    fence     BIGINT NOT NULL DEFAULT 0,
    tries     BIGINT NOT NULL DEFAULT 0,
    error     TEXT NOT NULL DEFAULT ''
);
CREATE INDEX orders_by_account ON orders (account, created);
CREATE INDEX orders_by_due ON orders (due);

-- A payment of a provider, as it was last booked; its id is PROVIDER:PAYMENT. `credited` is the sum of its entries, whose
-- references are pay:PROVIDER:PAYMENT:N, with N up to `booked`.
CREATE TABLE payments (
    id       TEXT PRIMARY KEY,
    order_id TEXT NOT NULL REFERENCES orders (id),
    account  TEXT NOT NULL REFERENCES accounts (id),
    amount   BIGINT NOT NULL,
    currency TEXT NOT NULL,
    refunded BIGINT NOT NULL,
    disputed BIGINT NOT NULL,
    credits  BIGINT NOT NULL,
    credited BIGINT NOT NULL,
    booked   BIGINT NOT NULL,
    created  BIGINT NOT NULL,
    changed  BIGINT NOT NULL
);
CREATE INDEX payments_by_order ON payments (order_id);
CREATE INDEX payments_by_account ON payments (account, created);

-- An object of a provider that a webhook named; its id is PROVIDER:OBJECT. Each webhook raises `received`.
CREATE TABLE payment_events (
    id       TEXT PRIMARY KEY,
    account  TEXT NOT NULL DEFAULT '',
    received BIGINT NOT NULL DEFAULT 1,
    created  BIGINT NOT NULL,
    changed  BIGINT NOT NULL,
    due      BIGINT NOT NULL DEFAULT 0,
    lease    BIGINT NOT NULL DEFAULT 0,
    fence    BIGINT NOT NULL DEFAULT 0,
    tries    BIGINT NOT NULL DEFAULT 0,
    error    TEXT NOT NULL DEFAULT ''
);
CREATE INDEX payment_events_by_due ON payment_events (due);

-- A month of a plan, bought by the payment of the same id; its order was made at `ordered`. `state` is ahead, running,
-- past, replaced (what is left waits to be carried), carried or dropped. `is_paid` is 0 while its payment is given back.
-- A replaced or dropped month ended at `replaced`; `pool_balance` is the balance of its pool then, if the plan after it
-- spends from there. `carried` micro-credits were granted, in entries with the references carry:MONTH and carry:MONTH:N,
-- N up to `moved` less one. A dropped one has `lost` so many. `mailed` is the number of mails sent.
CREATE TABLE paid_months (
    id           TEXT PRIMARY KEY,
    account      TEXT NOT NULL REFERENCES accounts (id),
    plan         TEXT NOT NULL,
    allowance    BIGINT,
    ordered      BIGINT NOT NULL,
    starts       BIGINT NOT NULL,
    ends         BIGINT NOT NULL,
    state        TEXT NOT NULL,
    is_paid      BIGINT NOT NULL DEFAULT 1,
    replaced     BIGINT,
    pool_balance BIGINT,
    carried      BIGINT NOT NULL DEFAULT 0,
    lost         BIGINT,
    moved        BIGINT NOT NULL DEFAULT 0,
    mailed       BIGINT NOT NULL DEFAULT 0,
    due          BIGINT NOT NULL DEFAULT 0,
    lease        BIGINT NOT NULL DEFAULT 0,
    fence        BIGINT NOT NULL DEFAULT 0,
    tries        BIGINT NOT NULL DEFAULT 0,
    error        TEXT NOT NULL DEFAULT ''
);
CREATE INDEX paid_months_by_account ON paid_months (account, starts);
CREATE INDEX paid_months_by_due ON paid_months (due);

-- The changes of an account's plan, months and purchases, numbered: of two that follow from the same one, the second
-- cannot be committed.
CREATE TABLE plan_changes (
    account TEXT NOT NULL,
    number  BIGINT NOT NULL,
    at      BIGINT NOT NULL,
    PRIMARY KEY (account, number)
);
