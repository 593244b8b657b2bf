-- Each sign-in counts them.
CREATE INDEX CONCURRENTLY mails_of_strangers ON mails (rank) WHERE rank = 2;
