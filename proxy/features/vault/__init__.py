"""The vault: recordings and texts of accounts, sealed, and answers that an Idempotency-Key gets again."""
