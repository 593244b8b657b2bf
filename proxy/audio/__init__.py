"""From an engine's PCM to the bytes a client asked for."""
