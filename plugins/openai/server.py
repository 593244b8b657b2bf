"""The settings of a provider's server: its address, the key, and the last days of its models."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

# The days after which known hosts end their speech models: OpenAI's from its SDK (openai 3.52), Azure's from
# its documentation of 2026-07-07. A host's own list is newer, so it has priority.
_OPENAI_DAYS = {
    "tts-1": "2027-01-06",
    "tts-1-hd": "2027-01-06",
    "gpt-4o-mini-tts": "2027-01-06",
    "gpt-4o-mini-tts-2025-12-15": "2027-01-06",
    "gpt-realtime": "2027-01-20",
    "gpt-realtime-2025-08-28": "2027-01-20",
    "gpt-realtime-mini": "2027-01-20",
    "gpt-realtime-mini-2025-12-15": "2027-01-20",
    "gpt-audio-mini": "2027-01-20",
    "whisper-1": "2027-02-26",
    "gpt-4o-transcribe": "2027-02-26",
    "gpt-4o-mini-transcribe": "2027-02-26",
    "gpt-4o-mini-transcribe-2025-12-15": "2027-02-26",
}
_AZURE_DAYS = {
    "tts": "2026-12-15",
    "tts-1": "2026-12-15",
    "tts-hd": "2026-12-15",
    "tts-1-hd": "2026-12-15",
    # The older of two versions ends on 2026-10-15. A deployment's name does not tell the version.
    "gpt-4o-mini-tts": "2026-12-15",
    "gpt-realtime-2.1-mini": "2027-06-25",
}
_OPENROUTER_DAYS = {f"openai/{model}": day for model, day in _OPENAI_DAYS.items()}
_DAYS_BY_HOST: Mapping[str, Mapping[str, str]] = {
    "api.openai.com": _OPENAI_DAYS,
    "openai.azure.com": _AZURE_DAYS,
    "openrouter.ai": _OPENROUTER_DAYS,
}


def shutdown_date_at(base_url: str, model: str) -> str:
    """Return the last day of a model at a host, or an empty text."""
    host = (urlsplit(base_url).hostname or "").lower()
    for known, days in _DAYS_BY_HOST.items():
        if host == known or host.endswith(f".{known}"):
            return days.get(model, "")
    return ""


class ServerSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A server with OpenAI's API. `api_version` selects the older of Azure's two forms."""

    base_url: Annotated[
        str,
        Meta(pattern=r"^https?://[^\s?#]+\Z", description="an address such as https://api.openai.com/v1"),
    ] = "https://api.openai.com/v1"
    api_key: str = ""
    key_header: Annotated[
        Literal["authorization", "api-key"], Meta(description='"authorization", or "api-key" for Azure')
    ] = "authorization"
    api_version: Annotated[
        str, Meta(pattern=r"^[A-Za-z0-9.-]{0,64}\Z", description="a version such as 2025-04-01-preview")
    ] = ""

    def url(self, path: str) -> str:
        version = f"{'&' if '?' in path else '?'}api-version={self.api_version}" if self.api_version else ""
        return f"{self.base_url.rstrip('/')}{path}{version}"

    @property
    def key_headers(self) -> dict[str, str]:
        if not self.api_key:
            return {}
        # Azure's older address takes no other header.
        if self.api_version or self.key_header == "api-key":
            return {"api-key": self.api_key}
        return {"authorization": f"Bearer {self.api_key}"}

    @property
    def http_headers(self) -> dict[str, str]:
        # HTTP compression does not make audio smaller, and it delivers the bytes in lumps.
        return {"accept-encoding": "identity", "user-agent": "voxgate", **self.key_headers}

    def shutdown_date(self, model: str) -> str:
        return shutdown_date_at(self.base_url, model)
