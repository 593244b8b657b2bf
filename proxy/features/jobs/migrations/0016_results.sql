-- The job of which a request was a step.
ALTER TABLE usage ADD COLUMN job TEXT NOT NULL DEFAULT '';

ALTER TABLE jobs ADD COLUMN kind TEXT NOT NULL DEFAULT 'speech';

-- `told` is the digest of what is told of the clip beside its sound, '' of older ones. `crc32` is that of its bytes.
ALTER TABLE job_clips ADD COLUMN told TEXT NOT NULL DEFAULT '';
ALTER TABLE job_clips ADD COLUMN crc32 BIGINT NOT NULL DEFAULT 0;
CREATE INDEX job_clips_by_told ON job_clips (account, told);
