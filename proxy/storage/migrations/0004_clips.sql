-- The index of the audio cache: by whom, and by which voices, each kept file was heard. The sound is a file; this
-- says what has to go when a voice or a lexicon is deleted or an account is closed. A recording has one row for each
-- of its voices, from its beginning. While it is under way its file has no name yet. If its rows are gone when it
-- ends, it was purged in the meantime. `folder` tells the data folders of several machines apart.
CREATE TABLE clips (
    recording   TEXT NOT NULL,
    voice       TEXT NOT NULL,
    account     TEXT NOT NULL,
    has_lexicon BIGINT NOT NULL,
    folder      TEXT NOT NULL,
    name        TEXT NOT NULL DEFAULT '',
    began       BIGINT NOT NULL,
    PRIMARY KEY (recording, voice)
);

CREATE INDEX clips_by_account ON clips (account);
CREATE INDEX clips_by_voice ON clips (voice);
CREATE INDEX clips_by_folder ON clips (folder);
