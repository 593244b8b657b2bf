-- The job of which a request was a step.
ALTER TABLE usage ADD COLUMN job TEXT NOT NULL DEFAULT '';

ALTER TABLE jobs ADD COLUMN kind TEXT NOT NULL DEFAULT 'speech';

-- What is kept of what was asked for.
ALTER TABLE jobs ADD COLUMN bytes BIGINT NOT NULL DEFAULT 0;
CREATE INDEX jobs_by_size ON jobs (account, bytes);

-- What `error` says, for programs.
ALTER TABLE jobs ADD COLUMN error_code TEXT NOT NULL DEFAULT '';

-- A step that makes the file of a job out of the sound of all others: it is 'later' until they are done.
ALTER TABLE job_steps ADD COLUMN kind TEXT NOT NULL DEFAULT 'speech';
CREATE INDEX job_steps_wanted_files ON job_steps (account, due, id) WHERE state = 'wanted' AND kind = 'file';

-- `told` is the digest of what is told of the clip beside its sound, '' of older ones. `crc32` is that of its bytes.
-- It plays for `played` samples where it is joined with others, has `words` whose times are known, and `source` is
-- IPTC's word for who made it, if its file is to say that. Once its job has a file, `digest` is ''.
ALTER TABLE job_clips ADD COLUMN told TEXT NOT NULL DEFAULT '';
ALTER TABLE job_clips ADD COLUMN crc32 BIGINT NOT NULL DEFAULT 0;
ALTER TABLE job_clips ADD COLUMN played BIGINT NOT NULL DEFAULT 0;
ALTER TABLE job_clips ADD COLUMN words BIGINT NOT NULL DEFAULT 0;
ALTER TABLE job_clips ADD COLUMN source TEXT NOT NULL DEFAULT '';
CREATE INDEX job_clips_by_told ON job_clips (account, told);

-- The encoded files of a job, in blobs one after the other. `chapter` 0 is the file of all.
CREATE TABLE job_encoded (
    job     TEXT NOT NULL,
    chapter BIGINT NOT NULL,
    number  BIGINT NOT NULL,
    account TEXT NOT NULL,
    digest  TEXT NOT NULL,
    bytes   BIGINT NOT NULL,
    crc32   BIGINT NOT NULL,
    voices  TEXT NOT NULL,
    PRIMARY KEY (job, chapter, number)
);
CREATE INDEX job_encoded_by_digest ON job_encoded (account, digest);
CREATE INDEX job_encoded_by_voices ON job_encoded (voices) WHERE voices <> '';
