"""The elevenlabs plugin, against its fake."""
