-- When an operator accepted a consent whose words no model found to match. NULL: nobody did.
ALTER TABLE consents ADD COLUMN accepted BIGINT;
