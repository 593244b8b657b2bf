"""The way from an engine's PCM to the bytes that a client gets: resample, speed, loudness, encode."""
