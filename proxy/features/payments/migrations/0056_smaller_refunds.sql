-- When the second look is due, if the first one has found a smaller refund than was booked. NULL: none was found. It is the
-- last moment that a row can have once the order needs attention for it.
ALTER TABLE payments ADD COLUMN refund_check BIGINT;
