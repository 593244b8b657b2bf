"""Bytes that are stored for later requests: locked files, recordings, answers to Idempotency-Keys."""
