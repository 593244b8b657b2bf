"""A struct in a column: JSON, so that both databases keep it and an operator can read it."""

from __future__ import annotations

from typing import Any

import msgspec


def encode_json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


decode_json = msgspec.json.Decoder().decode
