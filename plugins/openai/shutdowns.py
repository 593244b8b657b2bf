"""The days from which known hosts no longer serve their speech models.

OpenAI's days are those of its own SDK (openai 3.52), Azure's those of its documentation of 2026-07-07. A list
that a host gives itself is newer, and counts first.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

_OF_OPENAI = {
    "tts-1": "2027-01-06",
    "tts-1-hd": "2027-01-06",
    "gpt-4o-mini-tts": "2027-01-06",
    "gpt-4o-mini-tts-2025-12-15": "2027-01-06",
    "gpt-realtime": "2027-01-20",
    "gpt-realtime-2025-08-28": "2027-01-20",
    "gpt-realtime-mini": "2027-01-20",
    "gpt-realtime-mini-2025-12-15": "2027-01-20",
    "gpt-audio-mini": "2027-01-20",
}
_OF_AZURE = {
    "tts": "2026-12-15",
    "tts-1": "2026-12-15",
    "tts-hd": "2026-12-15",
    "tts-1-hd": "2026-12-15",
    # Of its two versions the older one ends on 2026-10-15. A deployment's name does not tell which it is.
    "gpt-4o-mini-tts": "2026-12-15",
    "gpt-realtime-2.1-mini": "2027-06-25",
}
_OF_OPENROUTER = {f"openai/{model}": day for model, day in _OF_OPENAI.items()}
_BY_HOST: Mapping[str, Mapping[str, str]] = {
    "api.openai.com": _OF_OPENAI,
    "openai.azure.com": _OF_AZURE,
    "openrouter.ai": _OF_OPENROUTER,
}


def shutdown_day(base_url: str, model: str) -> str:
    """Return the day of a model at the host of an address, or an empty text."""
    host = (urlsplit(base_url).hostname or "").lower()
    for known, days in _BY_HOST.items():
        if host == known or host.endswith(f".{known}"):
            return days.get(model, "")
    return ""
