"""Files: the vault of encrypted recordings, its keys, and the answers stored for an Idempotency-Key."""
