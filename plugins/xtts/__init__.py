"""The engine that clones voices with XTTS-v2, for many listeners at once."""
