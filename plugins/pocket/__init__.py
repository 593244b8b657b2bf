"""The engine that clones voices with Pocket TTS on a processor, for many listeners at once."""
