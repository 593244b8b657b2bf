"""Shares the states of providers' keys with the other gateways: one question a second for a worker."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from policies.breaker import QUIET_S
from proxy.access.windows import KeyState, KeyStates
from proxy.config.sections import Config
from proxy.engines.providers.provider_key import NoSharing, ProviderKey
from proxy.file_store.master_keys import MasterKeySource, VaultFailed
from proxy.file_store.sealing import keyed_digest

LOOK_S = 1.0


class KeySharing(NoSharing):
    """A digest under the master key names a key. The first start of a server makes that key later; until then
    nothing is shared. Without `masters`, its number names a key."""

    def __init__(self, states: KeyStates, masters: MasterKeySource | None = None) -> None:
        self._states = states
        self._masters = masters
        self._unnamed: list[tuple[ProviderKey, str, str]] = []
        self._keys: dict[str, ProviderKey] = {}
        self._is_over = False

    def share_key(self, key: ProviderKey, engine: str, secret: str) -> None:
        self._unnamed.append((key, engine, secret))
        self._name_keys()

    def _name_keys(self) -> None:
        try:
            masters = None if self._masters is None else self._masters.read_if_any()
        except VaultFailed:
            return  # everything that is sealed fails, and says so
        if masters is None and self._masters is not None:
            return
        naming = b"" if masters is None else masters.newest.naming
        for key, engine, secret in self._unnamed:
            parts = (engine, key.credential, secret if naming else str(key.number))
            name = keyed_digest(naming, "\0".join(parts).encode())
            key.pace.states, key.pace.name = self._states, name
            # A key that is written twice is one at its provider.
            self._keys.setdefault(name, key)
        self._unnamed.clear()

    @asynccontextmanager
    async def exchanging(self) -> AsyncIterator[None]:
        if not (self._keys or self._unnamed):
            yield
            return
        task = asyncio.create_task(self._run(), name="providers' keys shared")
        try:
            yield
        finally:
            # The client of Redis sometimes swallows a cancellation.
            self._is_over = True
            self._states.has_news.set()
            task.cancel()
            await asyncio.wait([task])

    async def _run(self) -> None:
        states = self._states
        while not self._is_over:
            states.has_news.clear()
            if self._unnamed:
                self._name_keys()
            if self._keys:
                await self._exchange(states)
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_S):
                    await (asyncio.sleep(LOOK_S) if states.is_away else states.has_news.wait())

    async def _exchange(self, states: KeyStates) -> None:
        """Tell what this worker knows, and learn what the others know."""
        sent_news, now = {name: key.news for name, key in self._keys.items()}, _now()
        reports = {name: _report(key, now) for name, key in self._keys.items()}
        for name, state in (await states.exchange(reports)).items():
            key = self._keys[name]
            if key.news is sent_news[name]:  # otherwise there were newer ones during the exchange
                key.news = None
            key.adopt(state, now)


def key_sharing(states: KeyStates, config: Config) -> KeySharing:
    return KeySharing(states, MasterKeySource(config.vault, Path(config.data)))


def _report(key: ProviderKey, now: float) -> KeyState:
    news, since = key.news or (b"", now)
    pause_s, quiet_s = key.pace.paused_until - now, key.spoke_at + QUIET_S - now
    return KeyState(news, now - since, max(0.0, pause_s), max(0.0, quiet_s))


_now = time.monotonic
