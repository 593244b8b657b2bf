-- What engines at runners said of themselves stands beside what those of workers did. `subject` is a digest of where an
-- engine is, '' at a worker. A row of remote_engines is only held by whoever begins a run.
ALTER TABLE introductions ADD COLUMN subject TEXT NOT NULL DEFAULT '';
INSERT INTO introductions (engine, subject, hello, said)
SELECT engine, subject, hello, 0 FROM remote_engines WHERE subject <> ''
ON CONFLICT (engine) DO UPDATE SET subject = excluded.subject, hello = excluded.hello, said = excluded.said;
ALTER TABLE remote_engines DROP COLUMN subject;
ALTER TABLE remote_engines DROP COLUMN hello;
