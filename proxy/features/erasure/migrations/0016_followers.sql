-- Processes that forget what others on this database erase. `life` is that of the server or worker which they
-- belong to. All that was erased before `seen` is forgotten there, and `looked` is when it last looked.
CREATE TABLE followers (
    id     TEXT PRIMARY KEY,
    life   TEXT NOT NULL,
    seen   BIGINT NOT NULL,
    looked BIGINT NOT NULL
);
