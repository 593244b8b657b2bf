-- The silence at both ends of a clip. Earlier versions took it to be as long as that of most engines.
ALTER TABLE job_clips ADD COLUMN head_ms BIGINT NOT NULL DEFAULT 40;
ALTER TABLE job_clips ADD COLUMN tail_ms BIGINT NOT NULL DEFAULT 150;
