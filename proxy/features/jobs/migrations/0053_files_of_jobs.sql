-- What a file is for: 'batch', or 'user_data' for jobs that name it.
ALTER TABLE job_files ADD COLUMN purpose TEXT NOT NULL DEFAULT 'batch';

-- The blobs of a file, one after the other. Those of a deleted file stay while a job holds it. `digest` in job_files is
-- the first one.
CREATE TABLE job_file_blobs (
    file    TEXT NOT NULL,
    number  BIGINT NOT NULL,
    account TEXT NOT NULL,
    digest  TEXT NOT NULL,
    bytes   BIGINT NOT NULL,
    PRIMARY KEY (file, number)
);
CREATE INDEX job_file_blobs_by_digest ON job_file_blobs (account, digest);

-- The files that jobs name.
CREATE TABLE job_file_holds (
    job     TEXT NOT NULL,
    file    TEXT NOT NULL,
    account TEXT NOT NULL,
    PRIMARY KEY (job, file)
);
CREATE INDEX job_file_holds_by_file ON job_file_holds (file);
CREATE INDEX job_file_holds_by_account ON job_file_holds (account);

-- A keyed digest of what a clip says, and of who says it how: a later job may take over the clip. `taken` is then the
-- step that it comes from.
ALTER TABLE job_clips ADD COLUMN fingerprint TEXT NOT NULL DEFAULT '';
ALTER TABLE job_clips ADD COLUMN taken TEXT NOT NULL DEFAULT '';

-- What voices have spoken so far: characters, and milliseconds at plain speed.
CREATE TABLE voice_paces (
    model      TEXT NOT NULL,
    voice      TEXT NOT NULL,
    language   TEXT NOT NULL,
    characters BIGINT NOT NULL,
    ms         BIGINT NOT NULL,
    PRIMARY KEY (model, voice, language)
);
CREATE INDEX voice_paces_by_voice ON voice_paces (voice);
