"""The checker of a worker: it looks for marks and manifests in uploaded recordings.

One process decodes a recording, a second one reads its manifest, and a third one, the only one with keys,
looks for marks. All end with the recording, or when its sender leaves.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import structlog

from proxy.audio.recordings.decoder import Decoder, open_decoder
from proxy.audio.recordings.recording import Decoded
from proxy.config.sections import Config
from proxy.errors import MarksUnavailable, NoPlace
from proxy.features.marks.findings import (
    Examination,
    ManifestFinding,
    ManifestJob,
    MarkFinding,
    SearchJob,
)
from proxy.features.marks.marker import DAY_BITS, installation_bits
from proxy.features.marks.section import MARK_KEYS, SECTION, TEST_CERTIFICATE
from proxy.features.marks.stored_rings import StoredRings
from proxy.file_store.key_ring import KeyRing, parse_keys
from proxy.file_store.master_keys import VaultFailed
from proxy.helpers.helper import Helper, HelperFailed, HelperSpec
from proxy.helpers.limiter import FairLimiter
from proxy.storage.schema import installation_id
from proxy.storage.store import Store

MOST_AT_ONCE = 2
"""A search keeps one processor busy for half a second, or for two if there is no mark. An account has one
turn at most, so it cannot keep all others waiting."""
MOST_PLACES = 10
"""The most uploads that wait or are searched. Each has up to 10 MiB in memory."""
MOST_OF_ACCOUNT = 3

SEARCH_WITHIN_S = 90.0
MANIFEST_WITHIN_S = 30.0

_END_OF_CERTIFICATE = "-----END CERTIFICATE-----"
_MOST_ANSWER_BYTES = 1 << 16

_log = structlog.get_logger()
_decode_findings = msgspec.msgpack.Decoder(tuple[MarkFinding, ...]).decode
_decode_manifest = msgspec.msgpack.Decoder(ManifestFinding).decode


class ProvenanceChecker:
    """Checks uploads. Close it: `open_checker` does."""

    def __init__(
        self, decoder: Decoder, store: Store, config: Config, stored: StoredRings | None = None
    ) -> None:
        self._stored = stored
        self._decoder = decoder
        self._store = store
        self._config = config
        self._places = FairLimiter(
            "recordings to check", places=MOST_PLACES, of_account=MOST_OF_ACCOUNT, at_once=MOST_AT_ONCE
        )
        self._search_process = _new_helper("search_child")
        self._manifest_process = _new_helper("manifest_child")
        self._has_warned = False

    def revise(self, config: Config) -> None:
        self._config = config

    async def examine(self, account: str, data: bytes, manifest: bytes | None = None) -> Examination:
        """Look for marks and a manifest in an upload; `manifest` is the one that came beside it.

        Raises UnusableRecording, NoPlace, and MarksUnavailable: a failed search is not "not found". If it is
        cancelled, its processes end.
        """
        async with self._places.hold_turn(account):
            async with self._decoder.turn(account):
                decoded = await self._decoder.decode_samples(data)
            config = self._config
            if self._stored is not None:
                await self._stored.refresh()
            # The keys are read for each upload, so a new key needs no restart.
            keys = await asyncio.to_thread(_known_keys, config, self._stored)
            certificate = await asyncio.to_thread(_certificate, config)
            found = await self._read_manifest(ManifestJob(data, manifest, certificate))
            marks = await self._search(decoded, keys, config) if keys is not None else ()
        seconds = len(decoded.pcm) / decoded.sample_bytes / decoded.rate_hz
        return Examination(marks, found, seconds, decoded.is_cut)

    async def is_ours(self, payload: int) -> bool:
        """Tell whether the payload of a mark names this installation."""
        id_ = await installation_id(self._store, secrets.token_hex(4))
        return payload >> DAY_BITS == installation_bits(id_)

    async def close(self) -> None:
        """End all processes. No check may be running."""
        await self._search_process.close()
        await self._manifest_process.close()

    async def _search(self, decoded: Decoded, keys: KeyRing, config: Config) -> tuple[MarkFinding, ...]:
        settings = {name: section.settings for name, section in config.plugins_of("mark").items()}
        mark = SECTION.of(config).mark
        if mark:
            settings.setdefault(mark, {})
        job = SearchJob(decoded.pcm, decoded.rate_hz, decoded.sample_bytes, settings, tuple(keys))
        try:
            answer = await self._search_process.ask(msgspec.msgpack.encode(job), within_s=SEARCH_WITHIN_S)
            marks = _decode_findings(answer)
        except (TimeoutError, HelperFailed, msgspec.MsgspecError) as error:
            # The decoder has bounded the length, so the machine was too slow and not the file too long.
            _log.warning("marks.search.failed", error=type(error).__name__)
            raise NoPlace("recordings to check") from None
        if mark and mark not in {each.plugin for each in marks}:
            marks += (MarkFinding(mark, fault="it is not installed"),)
        for failed in (each for each in marks if each.fault):
            _log.warning("marks.search.failed", plugin=failed.plugin, error=failed.fault)
            # A mark that is only installed, and not configured, may fail.
            if failed.plugin in settings:
                raise MarksUnavailable(f"the mark {failed.plugin} cannot be used")
        return tuple(each for each in marks if not each.fault)

    async def _read_manifest(self, job: ManifestJob) -> ManifestFinding:
        try:
            answer = await self._manifest_process.ask(msgspec.msgpack.encode(job), within_s=MANIFEST_WITHIN_S)
            found = _decode_manifest(answer)
        except (TimeoutError, HelperFailed, msgspec.MsgspecError) as error:
            # The file killed the process or took it over. A manifest that cannot be read proves nothing.
            _log.warning("manifest.read.failed", error=type(error).__name__)
            return ManifestFinding("invalid")
        if found.lacks and not self._has_warned:
            self._has_warned = True
            _log.warning("decoder.confinement.missing", what=[lack[:40] for lack in found.lacks[:5]])
        return found


def _new_helper(module: str) -> Helper:
    return Helper(
        HelperSpec(
            module=f"proxy.features.marks.{module}", is_for_one=True, most_answer_bytes=_MOST_ANSWER_BYTES
        )
    )


def _known_keys(config: Config, stored: StoredRings | None) -> KeyRing | None:
    """Return all keys, with the old ones: a server that stopped marking still finds its marks.

    None: there is no file, so nothing was marked yet. Raises MarksUnavailable.
    """
    section, file = SECTION.of(config), Path(config.data) / MARK_KEYS
    try:
        if section.keys:
            return parse_keys(section.keys, "marking.keys")
        if stored is not None and (ring := stored.ring("keys")) is not None:
            return ring
        # On PostgreSQL, too: the first start of a server takes the file over, and a command may run before.
        return parse_keys(file.read_text("ascii", "replace"), str(file))
    except FileNotFoundError:
        return None
    except (OSError, VaultFailed) as error:
        _log.error("mark.keys.failed", reason=error.strerror if isinstance(error, OSError) else str(error))
        raise MarksUnavailable("the keys of marks cannot be read") from None


def _certificate(config: Config) -> bytes | None:
    """Return the certificate that signs here, without its chain and its key."""
    text = SECTION.of(config).certificate
    if not text:
        try:
            text = (Path(config.data) / TEST_CERTIFICATE).read_text("ascii", "replace")
        except OSError:
            return None
    first, end, _ = text.partition(_END_OF_CERTIFICATE)
    return (first + end + "\n").encode() if end else None


@asynccontextmanager
async def open_checker(
    shared: Iterable[object],
    store: Store,
    config: Config,
    stored: StoredRings | None = None,
) -> AsyncIterator[ProvenanceChecker]:
    """Open the checker, with the decoder that an earlier feature has `shared`, or else with its own."""
    async with open_decoder(shared) as decoder:
        checker = ProvenanceChecker(decoder, store, config, stored)
        try:
            yield checker
        finally:
            await checker.close()
