"""What one method on one path takes and gives: the value that the OpenAPI document is made of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

import msgspec

from proxy.errors import InvalidRequest, RequestFailed, RequestTooLarge

JSON = "application/json"
BODY = (InvalidRequest, RequestTooLarge)
"""What may be wrong with any body."""

Struct = type[msgspec.Struct]
Failure = type[RequestFailed]
Access = Literal["open", "catalogue", "key", "admin"]
"""`catalogue` is `key`, or `open` where the operator says public_catalogue."""


class Query(NamedTuple):
    """A parameter after the question mark; never required."""

    name: str
    meaning: str
    values: tuple[str, ...] = ()


class Header(NamedTuple):
    """One that a request may have; never required."""

    name: str
    meaning: str
    pattern: str


class Operation(NamedTuple):
    """One method on one path. `gives` has the structs of a good answer by media type, any one of them;
    none where the answer is bytes, or a document that describes itself. `heeds` are headers of a request,
    `headers` those that each good answer has, and other operations' do not, `may_have` those of some."""

    name: str
    route: str
    summary: str
    gives: Mapping[str, tuple[Struct, ...]]
    access: Access = "key"
    status: int = 200
    takes: Struct | None = None
    queries: tuple[Query, ...] = ()
    failures: tuple[Failure, ...] = ()
    unwell: Struct | None = None
    heeds: tuple[Header, ...] = ()
    headers: tuple[str, ...] = ()
    may_have: tuple[str, ...] = ()

    @property
    def method(self) -> str:
        return self.route.partition(" ")[0].lower()

    @property
    def path(self) -> str:
        return self.route.partition(" ")[2]


def json(*structs: Struct) -> Mapping[str, tuple[Struct, ...]]:
    return {JSON: structs}


PAGE = (
    Query("limit", "How many, 1 to 1000; 100 where it is not said."),
    Query("after", "The `last_id` of the page before."),
)
SINCE = Query("since", "Not before this day (`2026-01-31`) or time (`2026-01-31T12:00:00Z`), UTC.")
UNTIL = Query("until", "Before this day or time.")
ACCOUNT = Query("account", "Only this account's, by its id or name.")

SPEECH_HEADERS = {
    "x-voxgate-engine": "The `engine/model` that spoke; after a fallback, the one that really did.",
    "x-voxgate-voice": "The id of the voice.",
    "x-voxgate-language": "The language it was spoken in.",
    "x-voxgate-sample-rate": "In Hz.",
    "x-voxgate-cache": "`off`: this version has no cache.",
}
SOME_SPEECH_HEADERS = {
    "x-voxgate-route": "For keys of the role `admin`: the language, where it is known from, the route that "
    "matched, and the candidates in order; failures after routing have it too.",
    "x-voxgate-replayed": "`true` on an answer from before, given once more to its Idempotency-Key.",
    "x-ratelimit-limit-requests": "Requests a minute that are allowed, where there is a limit.",
    "x-ratelimit-remaining-requests": "How many of them are left.",
    "x-ratelimit-reset-requests": "When all of them are there again: `12ms`, `59.2s`, `1m0s`.",
}
