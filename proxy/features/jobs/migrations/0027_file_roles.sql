-- What a blob is of: the 'result' of a job, by chapter (0 is the file of all), the 'checkpoint' of a training, or a file
-- that is coming from a rented machine: 'checkpoint_part', 'voice_part' and 'onnx_part'. Chapters below 0 said so before.
ALTER TABLE job_encoded RENAME TO job_encoded_before;
CREATE TABLE job_encoded (
    job     TEXT NOT NULL,
    role    TEXT NOT NULL,
    chapter BIGINT NOT NULL,
    number  BIGINT NOT NULL,
    account TEXT NOT NULL,
    digest  TEXT NOT NULL,
    bytes   BIGINT NOT NULL,
    crc32   BIGINT NOT NULL,
    voices  TEXT NOT NULL,
    PRIMARY KEY (job, role, chapter, number)
);
INSERT INTO job_encoded (job, role, chapter, number, account, digest, bytes, crc32, voices)
SELECT job,
    CASE chapter WHEN -1 THEN 'checkpoint' WHEN -2 THEN 'checkpoint_part' WHEN -3 THEN 'voice_part'
        WHEN -4 THEN 'onnx_part' ELSE 'result' END,
    CASE WHEN chapter < 0 THEN 0 ELSE chapter END,
    number, account, digest, bytes, crc32, voices
FROM job_encoded_before;
DROP TABLE job_encoded_before;
CREATE INDEX job_encoded_by_digest ON job_encoded (account, digest);
CREATE INDEX job_encoded_by_voices ON job_encoded (voices) WHERE voices <> '';
