"""Speech by a Realtime API: a model that talks reads aloud. See README.md in this folder."""
