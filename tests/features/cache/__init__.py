"""The audio cache: what it keeps, for whom, and how it removes it."""
