"""The tables of checked speech: what was free of each request, and how often voices are heard wrong."""

from __future__ import annotations

import msgspec

from proxy.storage.tables import Table

UNSETTLED = -1
"""The `charged_ms` of a request that has claimed free seconds, and is not settled."""


class CheckedSpan(msgspec.Struct, frozen=True):
    """What was checked and charged of a request, and what was free."""

    request: str
    account: str
    at: int
    charged_ms: int
    free_ms: int


SPANS = Table(
    "heard_spans",
    key=("request",),
    settles=CheckedSpan,
    # A wrong part has claimed its seconds before, in a row of the request.
    settles_over="ON CONFLICT (request) DO UPDATE "
    "SET charged_ms = excluded.charged_ms, free_ms = excluded.free_ms",
    request="request",
    closed_with=("DELETE FROM heard_spans WHERE account = :id",),
)
RATES = Table(
    "heard_rates",
    key=("voice", "engine", "model", "language", "ears", "day"),
    owner="''",
    erased_with=("DELETE FROM heard_rates WHERE voice = :subject",),
)
