"""The emotions with which speech may be asked for, and with which a recording may be tagged."""

from __future__ import annotations

from typing import Literal

EmotionTags = Literal["drop", "refuse", "text"]
"""What is done with tags that a voice cannot express. As `text`, all tags are read."""

NEUTRAL = "neutral"

EMOTIONS: tuple[str, ...] = (
    "neutral",
    "happy",
    "sad",
    "angry",
    "fearful",
    "disgusted",
    "surprised",
    "calm",
    "excited",
    "cheerful",
    "friendly",
    "serious",
    "tender",
    "hopeful",
    "worried",
    "tired",
    "bored",
    "proud",
    "amused",
    "whisper",
    "shout",
    "fluent",
)
