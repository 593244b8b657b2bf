-- How often the voices or lexicons of an account have changed, or those of the operator (''). The row changes in the
-- commit of each change, so a worker that finds the number as it was need not read the library again. An account
-- without a row has never saved anything.
CREATE TABLE library_revisions (
    account TEXT PRIMARY KEY,
    number  BIGINT NOT NULL
);
INSERT INTO library_revisions (account, number)
SELECT coalesce(account, ''), 1 FROM voices UNION SELECT account, 1 FROM lexicons;
