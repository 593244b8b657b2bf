-- Manifests: the signed ones that lie beside a clip, in base64. A row is made when a manifest is first asked for, and
-- goes with the usage row of its request. `tried` is the time of the last signature, and `stamped` is 1 if a
-- time-stamper signed it, too.
CREATE TABLE manifests (
    request  TEXT PRIMARY KEY,
    manifest TEXT NOT NULL,
    tried    BIGINT NOT NULL,
    stamped  BIGINT NOT NULL
);
