"""The way from an engine's PCM to the bytes that a client asked for: resample, speed, loudness, encode."""
