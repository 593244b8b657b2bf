"""ElevenLabs as an engine; see README.md."""
