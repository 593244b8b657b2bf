"""/v1/audio/receipts: signed facts about each clip that the server made, for the account of the clip.

A receipt is signed when a client fetches it. So it has the newest key, and speech requests do no signing.
"""

from __future__ import annotations

from typing import Literal

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from proxy.audio.formats import MEDIA_TYPES
from proxy.config import credits
from proxy.errors import NotFound, ReceiptsUnavailable, UpstreamFailed
from proxy.features.marks import receipt_records as receipts
from proxy.features.marks.jws import RECEIPT_TYPE, Jwk, JwkSet
from proxy.features.marks.manifests import ROOT as MANIFESTS
from proxy.features.marks.manifests import Manifests
from proxy.features.marks.receipt_records import ROOT, ClipSpeaker, FoundReceipt, Kind, ManifestPlace
from proxy.features.marks.ring_source import ReceiptKeys, ReceiptRing
from proxy.features.marks.signer import SignerUnavailable
from proxy.http.lists import iso_time
from proxy.http.replies import encode_json, reply, struct_from
from proxy.http.resource import Resource, account_of, endpoint, second_path
from proxy.storage.store import Store
from proxy.storage.usage import CheckSums


class ReceiptMark(msgspec.Struct, frozen=True):
    """The inaudible mark in the sound: its plugin, and the id of its key."""

    plugin: str
    key: str


class SoundClaims(msgspec.Struct, frozen=True, kw_only=True):
    """The facts of any receipt about the sound."""

    request: str
    made: str
    sha256: str
    bytes: int
    media_type: str
    format: str
    sample_rate_hz: int
    samples: int
    speakers: tuple[ClipSpeaker, ...]
    mark: ReceiptMark | None


class ReceiptClaims(SoundClaims, frozen=True, kw_only=True):
    """The signed facts. `sha256` and `bytes` describe the audio that was sent, decoded from events or JSON.
    `source_sha256` describes the uploaded recording of a conversion.

    `iss` is the operator's name. `speakers` are the models that spoke, with their licences. `consents` has an
    entry for the consent of each voice in the audio: the SHA-256 of the lines `voxgate/consent/v1`, kind, id,
    created_at and digest. `credits` is the charge before any refund. `made` is in UTC. `check` is no
    checksum: it has the numbers of a checked answer.
    """

    iss: str
    kind: Kind
    source_sha256: str | None
    duration_seconds: float
    language: str
    consents: tuple[str, ...]
    manifest: ManifestPlace
    credits: float
    check: CheckSums | None


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """A receipt. `jws` has the claims with their signature, by the key `jwk`."""

    object: Literal["audio.receipt"] = "audio.receipt"
    id: str
    claims: ReceiptClaims
    jws: str
    jwk: Jwk


class Receipts(Resource):
    """The receipts of a server, signed by the keys of a ring.

    If `is_on` is false, new clips get no receipts. Clients can still fetch the receipts of earlier clips.
    """

    def __init__(self, store: Store, ring: ReceiptRing, operator: str, *, is_on: bool) -> None:
        self._store = store
        self._ring = ring
        self._operator = operator
        self._is_on = is_on

    # This path is before the path with an id, which would match it too.
    @endpoint(
        "GET", f"{ROOT}/keys", JwkSet, access="open", failures=(NotFound, ReceiptsUnavailable), pace="own"
    )
    async def list_receipt_keys(self, _request: Request) -> Response:
        """The public keys of receipts, the newest first, as a JWK set"""
        return reply(self._usable_keys().jwks)

    @endpoint(
        "GET",
        f"{ROOT}/{{id}}",
        Receipt,
        failures=(NotFound, ReceiptsUnavailable),
        also=second_path(
            "/admin/receipts/{id}", "get_any_receipt", summary="The signed receipt of a clip of any account"
        ),
    )
    async def get_receipt(self, request: Request) -> Response:
        """The signed receipt of a clip, by the id of its request"""
        id_, key = request.path_params["id"], self._usable_keys().newest
        # The store refuses a text with NUL.
        found = (
            await receipts.find_receipt(self._store, id_, account_of(request)) if id_.isprintable() else None
        )
        if found is None or not found.facts.has_receipt:
            if not self._is_on:
                raise _receipts_off()
            raise NotFound(f"The receipt '{id_[:80]}' does not exist.", code="receipt_not_found")
        claims = _claims(found, self._operator)
        jws = key.sign(encode_json(claims), RECEIPT_TYPE)
        return reply(Receipt(id=found.request, claims=claims, jws=jws, jwk=key.jwk))

    def _usable_keys(self) -> ReceiptKeys:
        """Return the keys. Raises ReceiptsUnavailable, or NotFound if receipts are off."""
        if self._ring.keys is None:
            raise ReceiptsUnavailable() if self._is_on else _receipts_off()
        return self._ring.keys


def _receipts_off() -> NotFound:
    return NotFound(
        "This server keeps no receipts: receipts = false is in its [marking].", code="receipts_off"
    )


def _claims(found: FoundReceipt, operator: str) -> ReceiptClaims:
    facts = found.facts
    return struct_from(
        ReceiptClaims,
        facts,
        iss=operator,
        request=found.request,
        source_sha256=facts.source or None,
        made=iso_time(facts.made),
        media_type=MEDIA_TYPES[facts.format],
        duration_seconds=round(facts.samples / facts.sample_rate_hz, 3),
        mark=ReceiptMark(facts.mark, facts.mark_key) if facts.mark else None,
        credits=credits.to_credits(found.credits),
        check=found.check,
    )


_C2PA = "application/c2pa"

_RETRY_S = 5.0
# A client that knows the address may read. The age is short, because a later signature may have a time stamp.
_HEADERS = {"cache-control": "public, max-age=300", "access-control-allow-origin": "*"}


class ManifestEndpoint(Resource):
    """The signed manifests of answers. Their path needs no key, because anyone may check a clip."""

    def __init__(self, manifests: Manifests) -> None:
        self._manifests = manifests

    @endpoint(
        "GET", f"{MANIFESTS}/{{id}}", media=(_C2PA,), access="open", failures=(NotFound, UpstreamFailed)
    )
    async def get_manifest(self, request: Request) -> Response:
        """The signed manifest (C2PA) of an answer, from the address in its header Link"""
        id_ = request.path_params["id"]
        try:
            manifest = await self._manifests.find_manifest(id_)
        except SignerUnavailable:
            raise UpstreamFailed(
                "The manifest cannot be signed right now.",
                code="manifest_unavailable",
                retry_after_s=_RETRY_S,
            ) from None
        if manifest is None:
            raise NotFound("There is no manifest under this address, or its answer is not whole yet.")
        return Response(manifest, headers=_HEADERS, media_type=_C2PA)
