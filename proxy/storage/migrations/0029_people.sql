-- A key of the kind `user` belongs to a person who signs in. It has no secret: sessions lead to it.
ALTER TABLE keys ADD COLUMN kind TEXT NOT NULL DEFAULT 'key';

-- The voice of requests that name none, by its name; '' is none. After `paid_until` the account has `lapsed_plan` in
-- place of `plan`, until its row says so. `has_paid` is 1 once a payment of it was booked.
ALTER TABLE accounts ADD COLUMN preferred_voice TEXT NOT NULL DEFAULT '';
ALTER TABLE accounts ADD COLUMN paid_until BIGINT;
ALTER TABLE accounts ADD COLUMN lapsed_plan TEXT NOT NULL DEFAULT '';
ALTER TABLE accounts ADD COLUMN has_paid BIGINT NOT NULL DEFAULT 0;
