-- The engine's voices that spoke in place of those asked for, as the answer told.
ALTER TABLE usage ADD COLUMN substitute TEXT NOT NULL DEFAULT '';
