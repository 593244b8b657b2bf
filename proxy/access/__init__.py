"""Access of callers: API keys, failed logins, plans, and windows of requests."""
