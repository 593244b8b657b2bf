"""HTTP: ids, keys, failures, bodies, answers, idempotency and paging of requests."""
