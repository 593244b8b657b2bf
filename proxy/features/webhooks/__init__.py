"""Webhooks: the server tells an account's own URL when something of it has happened."""
