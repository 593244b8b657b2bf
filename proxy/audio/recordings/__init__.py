"""Uploaded recordings: decoded in a separate process, stored lossless, rated, and derived for engines."""
