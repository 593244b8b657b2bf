"""The marker of a worker: it knows which answers get an inaudible mark, and opens the marks."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Protocol

import msgspec
import structlog

from policies.marking import Marking, MarkingRules, MarkUse
from proxy.audio import libraries
from proxy.audio.steps import SoundFailed
from proxy.config.secret_sections import MarkingSection
from proxy.config.sections import Config, PluginSection
from proxy.engines.plugin_instances import PluginRequest, open_plugin
from proxy.engines.registry import Registry
from proxy.provenance.key_ring import KeyRing, UnusableKeys, ensure_keys, parse_keys
from proxy.storage import bindings
from proxy.storage.store import Store
from speech_engine import EngineUnavailable
from speech_engine.mark import Mark, MarkKey, MarkStream

KEYS_FILE = "mark-keys"
"""The file in the data folder, if `[marking] keys` names no other keys."""

_FIRST_DAY = 20_454
"""2026-01-01, in days of Unix time. A mark says the day in 16 bits."""
_DAY_S = 86_400
_HALF = 16
_SETTINGS_DIGITS = 12
_RETRY_S = 10.0

_log = structlog.get_logger()


class AnswerMark(Protocol):
    """The mark of one answer. What comes out is as long as what went in, after `flush`. Close it."""

    async def feed(self, pcm: bytes) -> bytes: ...

    async def flush(self) -> bytes: ...

    async def close(self) -> None: ...


class Marker:
    """Opens marks. The plugin is opened by the first answer that is due: it loads large libraries."""

    def __init__(
        self, registry: Registry, sections: Mapping[str, PluginSection], store: Store, stack: AsyncExitStack
    ) -> None:
        self._registry = registry
        self._sections = sections
        self._store = store
        self._stack = stack
        self._opened: dict[str, Mark] = {}
        self._opening = asyncio.Lock()
        self._installation: int | None = None
        self._keys: KeyRing | None = None
        self._known_keys: dict[str, bytes] = {}
        self.rules = MarkingRules()

    def __repr__(self) -> str:
        return f"<Marker with {self._keys!r}>"

    @property
    def keys(self) -> KeyRing | None:
        """The keys of this revision, None if there are none: then what is due cannot be spoken."""
        return self._keys

    def revise(self, config: Config) -> None:
        """Take a revision of the configuration, and read the keys again."""
        section = config.marking
        self._keys = read_mark_keys(section, Path(config.data)) if section.mark else None
        # An answer may end in the revision before this one, so keys are added, and none is taken away.
        self._known_keys |= {key.id: key.secret for key in self._keys or ()}
        engines = {name: each.marking for name, each in config.engines.items() if each.marking is not None}
        self.rules = MarkingRules(self._marking(section), engines)

    async def open(self, use: MarkUse, sample_rate_hz: int) -> AnswerMark:
        """Open the mark of an answer. Raises EngineUnavailable: what is due for a mark never goes without."""
        secret = self._known_keys.get(use.key)
        mark = await self._mark(use.plugin) if secret is not None else None
        if mark is None or secret is None:
            raise EngineUnavailable(f"The mark {use.plugin} cannot be made.", retry_after_s=_RETRY_S)
        payload = await self._payload()
        try:
            return _LocalMark(use.plugin, mark.open(sample_rate_hz, MarkKey(use.key, secret), payload))
        except Exception as error:  # noqa: BLE001 - the seam around a plugin: its class only
            _log.warning("mark.open.failed", plugin=use.plugin, error=type(error).__name__)
            raise EngineUnavailable(f"The mark {use.plugin} failed.", retry_after_s=_RETRY_S) from None

    def _marking(self, section: MarkingSection) -> Marking | None:
        if not section.mark:
            return Marking(None, section.manifests) if section.manifests else None
        settings = self._sections.get(section.mark, PluginSection()).settings
        encoded = msgspec.msgpack.encode(settings, order="deterministic")
        digest = hashlib.sha256(encoded).hexdigest()[:_SETTINGS_DIGITS] if settings else ""
        key = "" if self._keys is None else self._keys.newest.id
        return Marking(MarkUse(section.mark, digest, key), section.manifests)

    async def _mark(self, name: str) -> Mark | None:
        if name in self._opened:
            return self._opened[name]
        async with self._opening:
            if name not in self._opened:
                await libraries.ensure_loaded()
                section = self._sections.get(name, PluginSection())
                request = PluginRequest("mark", name, section, is_asked_for=True)
                mark: Mark | None = await open_plugin(self._stack, self._registry, request)
                if mark is None:
                    return None
                self._opened[name] = mark
        return self._opened[name]

    async def _payload(self) -> int:
        """Return what a mark says: this installation, and the day."""
        if self._installation is None:
            id_ = await bindings.installation_id(self._store, secrets.token_hex(4))
            self._installation = installation_bits(id_)
        return self._installation << _HALF | (int(time.time()) // _DAY_S - _FIRST_DAY) & 0xFFFF


class _LocalMark:
    """A mark in the worker itself: a hundred milliseconds of sound take a fifth of a millisecond."""

    def __init__(self, plugin: str, stream: MarkStream) -> None:
        self._plugin = plugin
        self._stream = stream

    def __repr__(self) -> str:
        return f"<_LocalMark {self._plugin}>"

    async def feed(self, pcm: bytes) -> bytes:
        try:
            return self._stream.feed(pcm)
        except Exception as error:  # noqa: BLE001 - the seam around a plugin: its class only
            raise SoundFailed(f"the mark {self._plugin} failed: {type(error).__name__}") from None

    async def flush(self) -> bytes:
        try:
            return self._stream.flush()
        except Exception as error:  # noqa: BLE001 - the seam around a plugin: its class only
            raise SoundFailed(f"the mark {self._plugin} failed: {type(error).__name__}") from None

    async def close(self) -> None:
        """Do nothing: the stream is only memory."""


def installation_bits(id_: str) -> int:
    """Return the 16 bits that stand for an installation in a mark."""
    return int.from_bytes(hashlib.sha256(id_.encode()).digest()[:2])


def day_of(payload: int) -> int:
    """Return the day that a mark says, in seconds of Unix time at its begin."""
    return ((payload & 0xFFFF) + _FIRST_DAY) * _DAY_S


def read_mark_keys(section: MarkingSection, data: Path) -> KeyRing | None:
    try:
        return parse_keys(section.keys, "marking.keys") if section.keys else ensure_keys(data / KEYS_FILE)
    except (OSError, UnusableKeys) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        _log.error("mark.keys.failed", reason=reason)
        return None


@asynccontextmanager
async def open_marker(registry: Registry, config: Config, store: Store) -> AsyncIterator[Marker]:
    async with AsyncExitStack() as stack:
        marker = Marker(registry, config.marks, store, stack)
        await asyncio.to_thread(marker.revise, config)
        yield marker
