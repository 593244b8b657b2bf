-- Mails that wait. What a mail says, and its address, are sealed under its account and id, without an account under ''
-- and the id. A row with a `notice`, the name of an event and an id as JSON, is not sealed. `subject` is the id of the
-- user, or of whatever else, whose erasure deletes it; '' is none. A row goes when it is sent, or after `until`.
CREATE TABLE mails (
    id      TEXT PRIMARY KEY,
    account TEXT NOT NULL,
    subject TEXT NOT NULL,
    notice  TEXT NOT NULL,
    wrapped TEXT NOT NULL,
    sealed  TEXT NOT NULL,
    created BIGINT NOT NULL,
    until   BIGINT NOT NULL,
    due     BIGINT NOT NULL DEFAULT 0,
    lease   BIGINT NOT NULL DEFAULT 0,
    fence   BIGINT NOT NULL DEFAULT 0,
    tries   BIGINT NOT NULL DEFAULT 0,
    error   TEXT NOT NULL DEFAULT ''
);
CREATE INDEX mails_by_due ON mails (due);
CREATE INDEX mails_by_account ON mails (account);
