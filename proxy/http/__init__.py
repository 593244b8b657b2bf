"""The edge of a request: id, key, failures, body, answer, idempotency, paging."""
