-- The trainings of voices. A training is a job with one step; `hold` is the id of what is held for it, and of what it
-- costs.
-- `state` is held, owed or over. `stage`, `step`, `most_steps`, `mel`, `best` and `eta_s` say how far it is.
CREATE TABLE trainings (
    id         TEXT PRIMARY KEY,
    account    TEXT NOT NULL,
    voice      TEXT NOT NULL,
    payer      TEXT NOT NULL,
    hold       TEXT NOT NULL,
    engine     TEXT NOT NULL,
    model      TEXT NOT NULL,
    format     TEXT NOT NULL,
    state      TEXT NOT NULL,
    stage      TEXT NOT NULL,
    step       BIGINT NOT NULL,
    most_steps BIGINT NOT NULL,
    mel        DOUBLE PRECISION NOT NULL,
    best       DOUBLE PRECISION NOT NULL,
    eta_s      DOUBLE PRECISION
);
CREATE INDEX trainings_by_voice ON trainings (voice);
CREATE INDEX trainings_not_over ON trainings (id) WHERE state <> 'over';
CREATE INDEX job_steps_wanted_trainings ON job_steps (account, due, id)
    WHERE state = 'wanted' AND kind = 'training';
