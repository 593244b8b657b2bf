"""From an engine's PCM to a client's bytes: resampling, speed, loudness, encoders (`compressed` has MP3)."""
