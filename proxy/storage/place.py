"""Where one page of rows ended, so that the next goes on there, whatever was added in the meantime."""

from __future__ import annotations

from typing import NamedTuple

LAST_MOMENT = 2**63 - 1


class Place(NamedTuple):
    """The moment and the id of a row; rows are listed the newest first."""

    at: int
    id: str


NEWEST = Place(LAST_MOMENT, "")
