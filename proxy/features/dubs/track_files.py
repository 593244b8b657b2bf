"""The files of a dub."""

FILES = {"track": 0, "speech": 1, "bed": 2, "report.json": 3}
"""The number of each file in the rows of its job."""
