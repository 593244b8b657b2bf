"""Events as Stripe signs them."""

from __future__ import annotations

import hmac
import itertools
from collections.abc import Sequence
from typing import Any

import msgspec

from fakes.payments import Webhook

VERSION = "2026-10-28.endive"


class Signer:
    """Signs events with the endpoint's secret."""

    def __init__(self, secret: str, url: str, *, is_live: bool) -> None:
        self.url = url
        self.secret = secret
        self._is_live = is_live
        self._numbers = itertools.count(1)

    def __repr__(self) -> str:
        return "<Signer>"

    def webhook(
        self, type_: str, shown: dict[str, Any], now: float, *, secrets: Sequence[str] | None = None
    ) -> Webhook:
        """Return the event of an object. It has one signature for each of the secrets, as while one rolls."""
        event = {
            "id": f"evt_{next(self._numbers):024d}",
            "object": "event",
            "api_version": VERSION,
            "created": int(now),
            "type": type_,
            "livemode": self._is_live,
            "pending_webhooks": 1,
            "data": {"object": shown},
        }
        body = msgspec.json.encode(event)
        return Webhook(self.url, self.headers(body, now, secrets), body)

    def headers(self, body: bytes, now: float, secrets: Sequence[str] | None = None) -> dict[str, str]:
        signed = f"{int(now)}.".encode() + body
        keys = [self.secret] if secrets is None else secrets
        parts = [f"v1={hmac.digest(key.encode(), signed, 'sha256').hex()}" for key in keys]
        return {
            "content-type": "application/json; charset=utf-8",
            "stripe-signature": ",".join([f"t={int(now)}", *parts, "v0=0"]),
        }
