"""The supervisor, its workers, and the way to a live server."""
