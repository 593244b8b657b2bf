"""Bytes that are kept for later requests: locked files, recordings, answers to Idempotency-Keys."""
