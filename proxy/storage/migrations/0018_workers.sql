-- Processes that forget what others on this database erase. `life` is that of the server or worker which they
-- belong to. All that was erased before `seen` is forgotten there, and `looked` is when it last looked.
CREATE TABLE followers (
    id     TEXT PRIMARY KEY,
    life   TEXT NOT NULL,
    seen   BIGINT NOT NULL,
    looked BIGINT NOT NULL
);

-- What engines on the machines of workers said of themselves, packed as in `speech_engine/host/messages.py`.
CREATE TABLE introductions (
    engine TEXT PRIMARY KEY,
    hello  TEXT NOT NULL,
    said   BIGINT NOT NULL
);
