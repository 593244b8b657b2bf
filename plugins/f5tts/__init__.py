"""The engine that clones voices with F5-TTS, for many listeners at once."""
