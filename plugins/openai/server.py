"""The settings that say where a provider's server is, and how it knows its customer."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from plugins.openai.shutdowns import shutdown_day


class ServerSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A server with OpenAI's API. Azure's has two forms: with an `api_version` it is the older one."""

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
        return shutdown_day(self.base_url, model)
