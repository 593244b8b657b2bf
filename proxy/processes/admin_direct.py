"""The admin handlers without a server: on the store itself, under the lock of the data folder."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import httpx2

from proxy import api_admin
from proxy.access.callers import Callers
from proxy.access.usage_throttle import UsageThrottle
from proxy.audio.recordings.decoder import open_decoder
from proxy.audio.recordings.intake import RecordingIntake
from proxy.catalogue.derived_things import DerivedThings, no_hosts, no_providers
from proxy.catalogue.erased_voices import ErasedVoices
from proxy.catalogue.sample_store import SampleStore
from proxy.config.config_toml import Config
from proxy.engines import registry
from proxy.engines.engine_names import names_of_engines
from proxy.engines.registry import Registry
from proxy.feature import House, HouseRevision, OpenHouse, open_features
from proxy.features.all import FEATURES, open_store
from proxy.http.layers import control_app
from proxy.kept import open_answers
from proxy.kept.vault import Vault, open_vault
from proxy.ledger import Ledger, open_ledger
from proxy.processes import runtime
from proxy.speech.loudness_levels import LoudnessLevels
from proxy.speech.one_shot import OneShotSamples
from proxy.storage.store import Store
from proxy.telemetry.metrics import Metrics


class _Direct(NamedTuple):
    """What the handlers need where no engine runs."""

    store: Store
    ledger: Ledger
    vault: Vault
    open_house: OpenHouse


@asynccontextmanager
async def direct_transport(config: Config) -> AsyncIterator[httpx2.AsyncBaseTransport]:
    """Give a transport to the handlers. Raise DataHeld if a server has the data folder."""
    with runtime.locked(Path(config.data)):
        metrics = Metrics()
        async with (
            _open(config, metrics) as direct,
        ):
            store, vault, house = direct.store, direct.vault, direct.open_house.house
            admin_tools = api_admin.AdminTools(
                store,
                direct.ledger,
                Callers(store),
                config,
                UsageThrottle(),
                house.purges,
                vault,
                house.erasing,
                lambda: names_of_engines(registry.load(), config),
            )
            library = house.library(config)
            served = direct.open_house.at(
                HouseRevision(config, admin_tools, library, house.clones, house.purges)
            )
            endpoints = [*api_admin.record_routes(admin_tools), *served.admin]
            yield httpx2.ASGITransport(app=control_app(endpoints, metrics))


async def replay_erasures(config: Config) -> int:
    """Erase in a restored database what was erased since its backup. Return how many erasures that were.

    The caller holds the data folder. A database that has seen every erasure is not even opened.
    """
    files = [Path(config.data) / each.name for feature in FEATURES for each in feature.backed_up]
    if not any(file.exists() and file.stat().st_size for file in files):
        return 0
    async with _open(config, Metrics()) as direct:
        return direct.open_house.house.erasing.replayed


@asynccontextmanager
async def _open(config: Config, metrics: Metrics) -> AsyncIterator[_Direct]:
    """Open the house without engines, and finish the erasures that a killed server has left."""
    data = Path(config.data)
    async with (
        open_store(config.storage.url, data) as store,
        open_ledger(store, metrics) as ledger,
        open_vault(store, data, config.vault, metrics) as vault,
        open_answers(store, data, config.server, metrics) as answers,
        open_decoder() as decoder,
        open_features(
            House(
                config=config,
                registry=_comparers(config),
                store=store,
                vault=vault,
                ledger=ledger,
                decoder=decoder,
                intake=RecordingIntake(decoder),
                samples=OneShotSamples(SampleStore(store, vault)),
                engines=None,
                metrics=metrics,
                erased=(erased := ErasedVoices()),
                levels=LoudnessLevels(erased),
                front_end_revision=_no_revision,
            ),
            FEATURES,
        ) as open_house,
    ):
        open_house.reach(DerivedThings((), (answers,), no_hosts, no_providers))
        await open_house.catch_up()
        yield _Direct(store, ledger, vault, open_house)


def _no_revision(_front_end: str) -> str:
    """Return no revision: nothing is spoken here."""
    return ""


def _comparers(config: Config) -> Registry:
    """Return the installed plugins if a comparer is needed. To load them takes a while."""
    return registry.load() if config.consent.comparer else Registry({}, [])
