"""Child processes of the server: their start, answers and end, and the places for their callers."""
