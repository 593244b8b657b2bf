-- Receipts: what is known of the audio of a finished request, as JSON. A row comes with the usage row of its
-- request and goes with it. It has digests, and no name and no text, so it stays when a voice is erased.
CREATE TABLE receipts (
    request TEXT PRIMARY KEY,
    account TEXT NOT NULL,
    facts   TEXT NOT NULL
);
