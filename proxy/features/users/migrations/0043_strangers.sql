-- What sign-ins, and the accounts that they make, are counted by: `name` is a network, a wider one, or a keyed digest of
-- the mailbox to which an address leads. A row stays for a day.
CREATE TABLE sign_in_counts (
    name    TEXT NOT NULL,
    created BIGINT NOT NULL,
    sign_in TEXT NOT NULL,
    PRIMARY KEY (name, created, sign_in)
);
CREATE INDEX sign_in_counts_by_time ON sign_in_counts (created);

-- The place of a mail in the queue: 0 receipts and alerts, 1 sign-ins of users, 2 those of strangers, 3 the rest, and the
-- mails of older servers.
ALTER TABLE mails ADD COLUMN rank BIGINT NOT NULL DEFAULT 3;
