-- The claim of a request with an Idempotency-Key, where several machines share a vault. `id` is a digest of account and key,
-- `body_digest` that of the body. `object` names the sealed answer, '' until it is there. Its owner has the lease, under its fence.
CREATE TABLE answer_claims (
    id      TEXT PRIMARY KEY,
    account TEXT NOT NULL,
    request TEXT NOT NULL,
    body_digest TEXT NOT NULL,
    voices  TEXT NOT NULL DEFAULT '[]',
    object  TEXT NOT NULL DEFAULT '',
    wrapped TEXT NOT NULL DEFAULT '',
    size    BIGINT NOT NULL DEFAULT 0,
    made    BIGINT NOT NULL,
    lease   BIGINT NOT NULL,
    fence   BIGINT NOT NULL DEFAULT 1
);
