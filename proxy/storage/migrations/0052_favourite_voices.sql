-- The ids of an account's favourite voices, each in quotes as in JSON, without anything between them.
ALTER TABLE accounts ADD COLUMN favourite_voices TEXT NOT NULL DEFAULT '';
