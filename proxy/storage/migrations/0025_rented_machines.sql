-- What a training on rented machines owes when its account ends it: the steps that it was `asked` for, those that
-- `ran` on rented machines, and those of its last whole checkpoint, which are `kept` if a machine is lost. Rows of
-- before have 0, and owe nothing. `state` may be owed_part, too.
ALTER TABLE trainings ADD COLUMN asked BIGINT NOT NULL DEFAULT 0;
ALTER TABLE trainings ADD COLUMN ran BIGINT NOT NULL DEFAULT 0;
ALTER TABLE trainings ADD COLUMN kept BIGINT NOT NULL DEFAULT 0;

-- The `job` of what a run on a rented machine has cost, '' for none. NULL: a row of usage has this cost, and its job.
ALTER TABLE costs ADD COLUMN job TEXT;
UPDATE costs SET job = (SELECT job FROM remote_runs WHERE remote_runs.id = costs.request)
WHERE request IN (SELECT id FROM remote_runs);
CREATE INDEX costs_of_runs ON costs (at) WHERE job IS NOT NULL;
