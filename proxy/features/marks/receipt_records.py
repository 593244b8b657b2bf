"""Receipts: the facts of a finished clip. A receipt's row lives as long as its usage row.

A row has digests, and nothing that names a person. So it stays when a voice is erased or an account is
closed: it proves what was made, and under which consent.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Literal, NamedTuple

import msgspec

from proxy.storage.rows import in_list
from proxy.storage.store import Store
from proxy.storage.tables import Table
from proxy.storage.usage import CheckSums

ROOT = "/v1/audio/receipts"
ManifestPlace = Literal["embedded", "sidecar", ""]
"""Where the clip's signed manifest is; "" if it has none."""
Kind = Literal["speech", "conversion"]
"""The source of the clip: a text, or a recording."""


class ClipSpeaker(msgspec.Struct, frozen=True):
    """A model that spoke, as `engine/model`, and its licence, "" if the provider names none.

    A model that was not trained makes sound by rules.
    """

    model: str
    licence: str
    is_trained: bool = True


class ClipFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a clip when it is whole. `sha256` and `bytes` are of the audio as its client got it.

    `consents` are digests of the consent records of the voices that spoke. `mark` is the plugin of the
    inaudible mark, `mark_key` the id of its key. `made` is the moment of the last byte, in microseconds.
    Of a conversion, `source` is the SHA-256 of the file that was converted. Without `has_receipt`, these
    facts are only for the manifest.
    """

    sha256: str
    bytes: int
    format: str
    samples: int
    sample_rate_hz: int
    speakers: tuple[ClipSpeaker, ...]
    language: str
    consents: tuple[str, ...] = ()
    mark: str = ""
    mark_key: str = ""
    manifest: ManifestPlace = ""
    made: int
    kind: Kind = "speech"
    source: str = ""
    has_receipt: bool = True


class ReceiptRow(msgspec.Struct, frozen=True):
    """The facts of a request as JSON, which an operator can read."""

    request: str
    account: str
    facts: str


TABLE = Table("receipts", settles=ReceiptRow, request="request")


class FoundReceipt(NamedTuple):
    """The facts of a clip, its micro-credits, and the numbers of a checked answer."""

    request: str
    account: str
    facts: ClipFacts
    credits: int
    check: CheckSums | None = None


_FIND = """
SELECT receipts.request, receipts.account, receipts.facts, usage.credits, usage.checked
FROM receipts JOIN usage ON usage.id = receipts.request WHERE receipts.request = :request
"""
_FIND_OF_ACCOUNT = f"{_FIND} AND receipts.account = :account"
_OF_REQUESTS = "SELECT request, facts FROM receipts WHERE request IN ({}) AND account = :account"
_HAS_KEYED = """
SELECT 1 AS is_there FROM receipts
WHERE facts NOT LIKE '%"mark_key":""%' OR facts LIKE '%"manifest":"sidecar"%' LIMIT 1
"""


async def find_receipt(store: Store, request: str, account: str | None) -> FoundReceipt | None:
    """Find the facts of a clip: of this account, or of any account if it is None."""
    sql = _FIND if account is None else _FIND_OF_ACCOUNT
    rows = await store.read(sql, {"request": request, "account": account})
    if not rows:
        return None
    (row,) = rows
    facts = msgspec.json.decode(row["facts"], type=ClipFacts)
    check = CheckSums.of_column(row["checked"])
    return FoundReceipt(row["request"], row["account"], facts, row["credits"], check)


async def facts_of_requests(store: Store, account: str, requests: Collection[str]) -> Mapping[str, ClipFacts]:
    """Return the facts of an account's clips by request. Requests without a receipt are left out."""
    if not requests:
        return {}
    names, params = in_list([*requests])
    rows = await store.read_long(_OF_REQUESTS.format(names), {**params, "account": account})
    found = {row["request"]: msgspec.json.decode(row["facts"], type=ClipFacts) for row in rows}
    return {request: facts for request, facts in found.items() if facts.has_receipt}


async def needs_mark_keys(store: Store) -> bool:
    """Tell whether an earlier clip needs the keys of marks. It may read all receipts."""
    return bool(await store.read(_HAS_KEYED))
