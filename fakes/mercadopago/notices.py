"""Webhooks as Mercado Pago signs them."""

from __future__ import annotations

import hmac
import itertools
from urllib.parse import urlencode

import msgspec

from fakes.mercadopago.account import moment
from fakes.payments import Webhook


def manifest(id_: str, request_id: str, ts: str) -> str:
    """The text that is signed. A missing value drops its pair."""
    pairs = (("id", id_), ("request-id", request_id), ("ts", ts))
    return "".join(f"{name}:{value};" for name, value in pairs if value)


class Signer:
    """Signs webhooks with the panel's secret, for the address in the panel."""

    def __init__(self, secret: str, url: str, seller: int, *, is_live: bool) -> None:
        self.url = url
        self.secret = secret
        self._seller = seller
        self._is_live = is_live
        self._numbers = itertools.count(1)

    def __repr__(self) -> str:
        return "<Signer>"

    def webhook(
        self,
        payment: str,
        now: float,
        *,
        action: str = "payment.updated",
        type_: str = "payment",
        in_seconds: bool = False,
        request_id: str | None = None,
        signed_id: str | None = None,
        secret: str | None = None,
    ) -> Webhook:
        """Return the webhook of an object. `signed_id` is the id in the manifest, else that in lower case."""
        number = next(self._numbers)
        request_id = f"request-{number}" if request_id is None else request_id
        ts = str(int(now if in_seconds else now * 1000))
        signed = manifest(payment.lower() if signed_id is None else signed_id, request_id, ts)
        key = (self.secret if secret is None else secret).encode()
        headers = {
            "content-type": "application/json",
            "x-signature": f"ts={ts},v1={hmac.digest(key, signed.encode(), 'sha256').hex()}",
        }
        if request_id:
            headers["x-request-id"] = request_id
        body = {
            "id": number,
            "live_mode": self._is_live,
            "type": type_,
            "date_created": moment(now),
            "user_id": self._seller,
            "api_version": "v1",
            "action": action,
            "data": {"id": payment},
        }
        query = urlencode({"data.id": payment, "type": type_})
        return Webhook(f"{self.url}?{query}", headers, msgspec.json.encode(body))
