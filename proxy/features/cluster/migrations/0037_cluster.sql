-- The machines of a database, on PostgreSQL alone: each start of a server or of a `voxgate worker` is a machine.
-- Worker 0 renews `seen`. `keys` are the ids of its keys, and `limits` is where it counts requests.
CREATE TABLE machines (
    id      TEXT PRIMARY KEY,
    name    TEXT NOT NULL,
    kind    TEXT NOT NULL,
    version TEXT NOT NULL,
    schema  BIGINT NOT NULL,
    workers BIGINT NOT NULL,
    folder  TEXT NOT NULL,
    limits  TEXT NOT NULL,
    keys    TEXT NOT NULL,
    config  TEXT NOT NULL,
    engines TEXT NOT NULL,
    began   BIGINT NOT NULL,
    seen    BIGINT NOT NULL
);

-- What all machines of a database share: the id of their vault.
CREATE TABLE shared_things (
    name TEXT PRIMARY KEY,
    id   TEXT NOT NULL
);

-- Orders to machines. `ended` is when one was carried out; with a `refusal`, nothing has changed.
CREATE TABLE machine_orders (
    id      TEXT PRIMARY KEY,
    machine TEXT NOT NULL,
    action  TEXT NOT NULL,
    engine  TEXT NOT NULL,
    at_once BIGINT NOT NULL,
    asked   BIGINT NOT NULL,
    ended   BIGINT,
    refusal TEXT NOT NULL
);

-- The machine with the trouble, by its name; empty for trouble of the whole.
ALTER TABLE alerts ADD COLUMN machine TEXT NOT NULL DEFAULT '';

-- The keys of marks and receipts on PostgreSQL, if no setting names others. `ring` is that setting, and `key` the
-- id of the key. Keys that were files before have a negative `made`.
CREATE TABLE ring_keys (
    id      TEXT PRIMARY KEY,
    ring    TEXT NOT NULL,
    key     TEXT NOT NULL,
    made    BIGINT NOT NULL,
    wrapped TEXT NOT NULL,
    sealed  TEXT NOT NULL,
    UNIQUE (ring, key)
);
