"""The facts of finished clips with a mark or a manifest, in the table `receipts`. A row lives as long as its
row in usage.

A row has digests, and nothing that names a person. So it stays when a voice is erased or an account is
closed: its manifest is signed from it when somebody fetches it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Literal, NamedTuple

import msgspec

from proxy.storage.rows import in_list
from proxy.storage.store import Store
from proxy.storage.tables import Table

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
    Of a conversion, `source` is the SHA-256 of the file that was converted.
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


class ClipMark(msgspec.Struct, frozen=True):
    """The inaudible mark in the sound: its plugin, and the id of its key."""

    plugin: str
    key: str


class FactsRow(msgspec.Struct, frozen=True):
    """The facts of a request as JSON, which an operator can read. 0.1.0 signed receipts from them."""

    request: str
    account: str
    facts: str


TABLE = Table("receipts", settles=FactsRow, request="request")


class FoundClip(NamedTuple):
    """The facts of a clip, and whose it is."""

    request: str
    account: str
    facts: ClipFacts


_FIND = "SELECT request, account, facts FROM receipts WHERE request = :request"
_OF_REQUESTS = "SELECT request, facts FROM receipts WHERE request IN ({}) AND account = :account"
_HAS_KEYED = """
SELECT 1 AS is_there FROM receipts
WHERE facts NOT LIKE '%"mark_key":""%' OR facts LIKE '%"manifest":"sidecar"%' LIMIT 1
"""


async def find_clip(store: Store, request: str) -> FoundClip | None:
    """Find the facts of a clip of any account."""
    rows = await store.read(_FIND, {"request": request})
    if not rows:
        return None
    (row,) = rows
    facts = msgspec.json.decode(row["facts"], type=ClipFacts)
    return FoundClip(row["request"], row["account"], facts)


async def facts_of_requests(store: Store, account: str, requests: Collection[str]) -> Mapping[str, ClipFacts]:
    """Return the facts of an account's clips by request. Requests without facts are left out."""
    if not requests:
        return {}
    names, params = in_list([*requests])
    rows = await store.read_long(_OF_REQUESTS.format(names), {**params, "account": account})
    return {row["request"]: msgspec.json.decode(row["facts"], type=ClipFacts) for row in rows}


async def needs_mark_keys(store: Store) -> bool:
    """Tell whether an earlier clip needs the keys of marks. It may read all rows."""
    return bool(await store.read(_HAS_KEYED))
