"""HTTP: the protocol, ids, failures, bodies, answers, idempotency and paging of requests."""
