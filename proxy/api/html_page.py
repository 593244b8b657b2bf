"""A page for browsers: one answer, which loads nothing from elsewhere."""

from __future__ import annotations

import base64
import hashlib
import re

from starlette.responses import Response

_FOR_BOTH = ("base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'")
_FOR_SCRIPTS = ("connect-src 'self'", "media-src blob:", "require-trusted-types-for 'script'")
"""What a page with a script may do: keys are typed into it."""


class HtmlPage:
    """A text of HTML. Nothing runs or is shown there but its own script and style, by their hashes."""

    def __init__(self, html: str) -> None:
        self.html = html
        hashes = [
            f"{tag}-src '{_hash(text)}'"
            for tag in ("script", "style")
            for text in re.findall(rf"<{tag}>(.*?)</{tag}>", html, re.DOTALL)
        ]
        rules = ["default-src 'none'", "img-src data:", *hashes, *_FOR_BOTH]
        if "<script>" in html:
            rules += _FOR_SCRIPTS
        self._headers = {
            "content-security-policy": "; ".join(rules),
            "referrer-policy": "no-referrer",
            "x-content-type-options": "nosniff",
            "cross-origin-opener-policy": "same-origin",
            "permissions-policy": "microphone=(self), camera=(), geolocation=()",
            "cache-control": "no-cache",
        }

    def answer(self, **headers: str) -> Response:
        return Response(self.html, headers=self._headers | headers, media_type="text/html")


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
