-- Trouble that needs an operator, from the first look that found it. `mailed` is when its mail was sent, and `gone`
-- the first look that did not find it any more. A row goes with the mail of its end, or unsent if it was short.
CREATE TABLE alerts (
    id     TEXT PRIMARY KEY,
    kind   TEXT NOT NULL,
    name   TEXT NOT NULL,
    detail TEXT NOT NULL,
    since  BIGINT NOT NULL,
    mailed BIGINT,
    gone   BIGINT
);
