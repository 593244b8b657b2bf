-- Old sign-ins are deleted 500 at a time.
CREATE INDEX CONCURRENTLY sign_ins_by_time ON sign_ins (created);
