"""Durable work: each wish is a row, which is tried again until it is done."""
