"""Webhooks: the server sends events of an account to the account's own URL."""
