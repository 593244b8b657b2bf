"""The engine that repeats recordings in a voice of other recordings, by OpenVoice V2's converter."""
