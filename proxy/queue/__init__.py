"""Durable work: each task is a row, which is tried again until it is done."""
