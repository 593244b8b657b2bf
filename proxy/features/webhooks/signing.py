"""Signatures of Standard Webhooks. With the secret, a receiver can check sender, content and time."""

from __future__ import annotations

import hmac
import os
from base64 import b64decode, b64encode
from collections.abc import Iterable

_PREFIX = "whsec_"
_SECRET_BYTES = 32


def new_secret() -> str:
    return _PREFIX + b64encode(os.urandom(_SECRET_BYTES)).decode()


def hint(secret: str) -> str:
    """Return a hint that distinguishes a secret from others, and is useless for signing."""
    return f"{_PREFIX}…{secret.rstrip('=')[-4:]}"


def headers(id_: str, at_s: int, body: bytes, secrets: Iterable[str]) -> dict[str, str]:
    """Return the headers of one try. It is signed with each of the secrets."""
    signed = f"{id_}.{at_s}.".encode() + body
    signatures = [
        "v1," + b64encode(hmac.digest(b64decode(secret.removeprefix(_PREFIX)), signed, "sha256")).decode()
        for secret in secrets
    ]
    return {
        "content-type": "application/json",
        "webhook-id": id_,
        "webhook-timestamp": str(at_s),
        "webhook-signature": " ".join(signatures),
    }
