"""Signed manifests of answers: inside their files, or beside them under an address that cannot be guessed.

A manifest beside a clip is signed when it is first fetched, from the digest of the clip. So speech waits for
a signature only if its file has to hold the manifest.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from prometheus_client import CollectorRegistry

from proxy.config.sections import Config
from proxy.errors import NoPlace
from proxy.features.marks import clip_facts
from proxy.features.marks import manifest_records as manifests
from proxy.features.marks.clip_facts import ClipFacts, FoundClip
from proxy.features.marks.manifest import ManifestFacts
from proxy.features.marks.manifest_records import StoredManifest
from proxy.features.marks.marker import read_mark_keys
from proxy.features.marks.ring_source import RingSource
from proxy.features.marks.section import SECTION
from proxy.features.marks.signer import Signer, SignerUnavailable, open_signer
from proxy.features.marks.stored_rings import StoredRings
from proxy.file_store.key_ring import KeyRing
from proxy.helpers.limiter import FairLimiter
from proxy.storage.store import Store

ROOT = "/v1/audio/manifests"

MOST_PLACES = 32
MOST_OF_ACCOUNT = 8
MOST_AT_ONCE = 4
"""Manifests are signed one by one. Before the next one of an account come at most three of other accounts."""
WAIT_S = 10.0

_ID_DIGITS = 32
RESTAMP_AFTER_US = 300_000_000
"""Microseconds after which a manifest without a time stamp is signed again when it is fetched."""


class Manifests:
    """Finds and signs the manifests of clips. Workers with the same keys make the same addresses."""

    def __init__(self, store: Store, signer: Signer, stored: StoredRings | None = None) -> None:
        self.signer = signer
        self._store = store
        self._key_source = RingSource(stored)
        self._keys: KeyRing | None = None
        self._last_keys: KeyRing | None = None
        self._is_on = False
        # The account of the answer takes the place, whichever client fetches the manifest.
        self._places = FairLimiter(
            "manifests to sign",
            places=MOST_PLACES,
            of_account=MOST_OF_ACCOUNT,
            at_once=MOST_AT_ONCE,
            wait_s=WAIT_S,
        )

    def __repr__(self) -> str:
        return f"<Manifests by {self.signer!r}>"

    def revise(self, config: Config) -> None:
        """Take a revision of the configuration, and read the keys again."""
        self._is_on = SECTION.of(config).manifests
        self.take_keys(config)
        self.signer.revise(config)

    def take_keys(self, config: Config) -> None:
        # With manifests off, those whose addresses were given before are still found.
        self._keys = read_mark_keys(self._key_source, config, may_make=self._is_on)
        # Keys that were lost since the last revision still find their manifests.
        self._last_keys = self._keys or self._last_keys

    def id_of(self, request: str) -> str:
        """Return the id of a request's manifest, which cannot be guessed from the request's number.

        Without keys it is "".
        """
        return "" if self._keys is None else f"{request}-{_proof(self._keys.newest.secret, request)}"

    async def find_manifest(self, id_: str) -> bytes | None:
        """Return the manifest, None if there is none under this id. Raises SignerUnavailable."""
        if self._last_keys is None and self._is_on:
            raise SignerUnavailable  # without keys, no address can be checked
        request, _, proof = id_.rpartition("-")
        if not self._is_proof(request, proof):
            return None
        stored = await manifests.find_manifest(self._store, request)
        if stored is not None and not await self._is_due_again(stored):
            return stored.data
        found = await clip_facts.find_clip(self._store, request)
        if found is None or found.facts.manifest != "sidecar":
            return None
        try:
            return await self._sign(found, stored)
        except (SignerUnavailable, NoPlace):
            if stored is None:
                raise SignerUnavailable from None
            return stored.data

    async def _sign(self, found: FoundClip, stored: StoredManifest | None) -> bytes:
        # An account's manifests are signed one after the other, so two requests at once get the same one.
        async with self._places.hold_turn(found.account):
            newest = await manifests.find_manifest(self._store, found.request)
            if newest is not None and newest != stored:
                return newest.data
            facts = found.facts
            signed = await self.signer.sign_digest(_facts(facts), bytes.fromhex(facts.sha256))
            made = StoredManifest(signed.data, await self._store.now(), signed.is_stamped)
            await manifests.save_manifest(self._store, found.request, made)
            return made.data

    async def _is_due_again(self, stored: StoredManifest) -> bool:
        """Tell whether a stored manifest has no time stamp and is old enough to be signed again."""
        if stored.is_stamped or not self.signer.can_stamp:
            return False
        return await self._store.now() - stored.signed_at > RESTAMP_AFTER_US

    def _is_proof(self, request: str, proof: str) -> bool:
        if not request or len(proof) != _ID_DIGITS or not proof.isascii() or not request.isascii():
            return False
        return any(hmac.compare_digest(_proof(key.secret, request), proof) for key in self._last_keys or ())


def _facts(facts: ClipFacts) -> ManifestFacts:
    mark = (facts.mark, facts.mark_key) if facts.mark else None
    return ManifestFacts(facts.made, facts.speakers, mark, facts.source)


def _proof(key: bytes, request: str) -> str:
    return hmac.new(key, f"voxgate/manifest-id/v1\0{request}".encode(), hashlib.sha256).hexdigest()[
        :_ID_DIGITS
    ]


@asynccontextmanager
async def open_manifests(
    config: Config, store: Store, registry: CollectorRegistry, stored: StoredRings | None = None
) -> AsyncIterator[Manifests]:
    async with open_signer(config, registry) as signer:
        opened = Manifests(store, signer, stored)
        await asyncio.to_thread(opened.revise, config)
        yield opened
