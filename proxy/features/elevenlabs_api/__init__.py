"""ElevenLabs' API below /elevenlabs: programs written for it speak with every voice of this server."""
