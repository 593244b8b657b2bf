"""The marker of a worker: it decides which answers get an inaudible mark, and opens the marks."""

from __future__ import annotations

import asyncio
import hashlib
import os
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import msgspec
import structlog

from proxy.audio import libraries
from proxy.config.sections import Config, PluginSection
from proxy.engines.plugin_instances import PluginRequest, open_plugin
from proxy.engines.registry import Registry
from proxy.features.marks.answer_mark import AnswerMark
from proxy.features.marks.clip_facts import needs_mark_keys
from proxy.features.marks.ring_source import RingSource
from proxy.features.marks.rules import Marking, MarkingRules, MarkUse
from proxy.features.marks.section import MARK_KEYS, SECTION, MarkingSection
from proxy.features.marks.stored_rings import StoredRings
from proxy.file_store.key_ring import KeyRing
from proxy.file_store.master_keys import VaultFailed
from proxy.storage.schema import installation_id
from proxy.storage.store import Store
from speech_engine import EngineUnavailable
from speech_engine.mark import Mark, MarkKey

_FIRST_DAY = 20_454
"""2026-01-01, in days of Unix time. A mark says the day in 16 bits."""
_DAY_S = 86_400
DAY_BITS = 16
_DAY_MASK = (1 << DAY_BITS) - 1
_SETTINGS_DIGITS = 12
RETRY_S = 10.0

_log = structlog.get_logger()


class Marker:
    """Opens marks. The first marked answer opens the plugin, which loads large libraries."""

    def __init__(
        self,
        registry: Registry,
        config: Config,
        store: Store,
        stack: AsyncExitStack,
        stored: StoredRings | None = None,
    ) -> None:
        self._registry = registry
        self._sections = config.plugins_of("mark")
        self._store = store
        self._stack = stack
        self._opened: dict[str, Mark] = {}
        self._opening = asyncio.Lock()
        self._installation: int | None = None
        self._source = RingSource(stored)
        self._keys: KeyRing | None = None
        self._known_keys: dict[str, bytes] = {}
        self.rules = MarkingRules()

    @property
    def keys(self) -> KeyRing | None:
        """The keys of this revision. None: answers that must be marked cannot be spoken."""
        return self._keys

    def revise(self, config: Config) -> None:
        """Take a revision of the configuration, and read the keys again."""
        section = SECTION.of(config)
        self._keys = read_mark_keys(self._source, config, may_make=True) if section.mark else None
        # An answer of the last revision may still need its key, so keys are only added.
        self._known_keys |= {key.id: key.secret for key in self._keys or ()}
        engines = {name: each.marking for name, each in config.engines.items() if each.marking is not None}
        self.rules = MarkingRules(self._marking(section), engines)

    async def open(self, use: MarkUse, sample_rate_hz: int) -> AnswerMark:
        """Open the mark of an answer. Raises EngineUnavailable: such an answer is never sent without its
        mark."""
        secret = self._known_keys.get(use.key)
        mark = await self._open_mark(use.plugin) if secret is not None else None
        if mark is None or secret is None:
            raise EngineUnavailable(f"The mark {use.plugin} cannot be made.", retry_after_s=RETRY_S)
        payload = await self._payload()
        try:
            return AnswerMark(use.plugin, mark.open(sample_rate_hz, MarkKey(use.key, secret), payload))
        except Exception as error:  # noqa: BLE001 - the seam around a plugin: its class only
            _log.warning("mark.open.failed", plugin=use.plugin, reason=type(error).__name__)
            raise EngineUnavailable(f"The mark {use.plugin} failed.", retry_after_s=RETRY_S) from None

    def _marking(self, section: MarkingSection) -> Marking | None:
        if not section.mark:
            return Marking(None, section.manifests) if section.manifests else None
        settings = self._sections.get(section.mark, PluginSection()).settings
        encoded = msgspec.msgpack.encode(settings, order="deterministic")
        digest = hashlib.sha256(encoded).hexdigest()[:_SETTINGS_DIGITS] if settings else ""
        key = "" if self._keys is None else self._keys.newest.id
        return Marking(MarkUse(section.mark, digest, key), section.manifests)

    async def _open_mark(self, name: str) -> Mark | None:
        if name in self._opened:
            return self._opened[name]
        async with self._opening:
            if name not in self._opened:
                await libraries.ensure_loaded()
                section = self._sections.get(name, PluginSection())
                request = PluginRequest("mark", name, section, is_required=True)
                mark: Mark | None = await open_plugin(self._stack, self._registry, request)
                if mark is None:
                    return None
                self._opened[name] = mark
        return self._opened[name]

    async def _payload(self) -> int:
        """Return the payload of a mark: this installation, and the day."""
        if self._installation is None:
            id_ = await installation_id(self._store, secrets.token_hex(4))
            self._installation = installation_bits(id_)
        day = int(time.time()) // _DAY_S - _FIRST_DAY
        return (self._installation << DAY_BITS) | (day & _DAY_MASK)


def installation_bits(id_: str) -> int:
    """Return the 16 bits that stand for an installation in a mark."""
    return int.from_bytes(hashlib.sha256(id_.encode()).digest()[:2])


def day_of(payload: int) -> int:
    """Return the day in a mark's payload as the Unix time of its start, in seconds."""
    return ((payload & _DAY_MASK) + _FIRST_DAY) * _DAY_S


def read_mark_keys(source: RingSource, config: Config, *, may_make: bool) -> KeyRing | None:
    """Return the keys, or None and a log line if they are unusable. Waits for the disk."""
    try:
        return source.read(config, may_make=may_make)
    except (OSError, VaultFailed) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        _log.error("mark.keys.failed", reason=reason)
        return None


async def _note_lost_keys(config: Config, store: Store) -> None:
    """Log that the keys of earlier marks are gone, before new ones are made."""
    section, file = SECTION.of(config), os.path.join(config.data, MARK_KEYS)
    makes_keys = (section.mark or section.manifests) and not section.keys
    if not makes_keys or await asyncio.to_thread(os.path.lexists, file):
        return
    if not await store.read("SELECT id FROM ring_keys LIMIT 1") and await needs_mark_keys(store):
        _log.error("mark.keys.gone", file=file, do="put its keys behind the new one, then voxgate reload")


@asynccontextmanager
async def open_marker(
    registry: Registry, config: Config, store: Store, stored: StoredRings | None = None
) -> AsyncIterator[Marker]:
    await _note_lost_keys(config, store)
    async with AsyncExitStack() as stack:
        marker = Marker(registry, config, store, stack, stored)
        await asyncio.to_thread(marker.revise, config)
        yield marker
