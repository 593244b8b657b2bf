"""Programs for those who work on voxgate."""
