-- 1: hosts dial this machine, a server or a worker with [server] links.
ALTER TABLE machines ADD COLUMN takes_links INTEGER NOT NULL DEFAULT 0;
