"""The ids of our rows: a prefix that says what it names, and 96 random bits."""

from __future__ import annotations

import secrets
from typing import Literal

IdPrefix = Literal["acc", "key", "ent", "aud", "voice"]


def new_id(prefix: IdPrefix) -> str:
    return f"{prefix}_{secrets.token_hex(12)}"
