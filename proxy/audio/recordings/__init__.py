"""Recordings that people send: decoded in a process apart, kept lossless, rated, and derived for engines."""
