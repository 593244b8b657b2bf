"""A model that was trained for a voice, as a row. `file_store/vault.py` opens its sealed file."""

from __future__ import annotations

from typing import Literal

import msgspec

Origin = Literal["import", "training"]


class TrainedModel(msgspec.Struct, frozen=True, kw_only=True):
    """A model of a voice, which has at most one for each format. `digest` names its sealed file."""

    id: str
    voice: str
    account: str
    format: str
    digest: str
    bytes: int
    origin: Origin
    created: int
