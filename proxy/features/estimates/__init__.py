"""Estimates of speech: POST /v1/audio/speech/estimate."""
