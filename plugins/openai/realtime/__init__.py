"""Speech by a Realtime API: a model that talks is asked to read aloud. See README.md in this folder."""
