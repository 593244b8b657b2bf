"""Recordings repeated in another voice: POST /v1/audio/conversions."""
