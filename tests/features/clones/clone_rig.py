"""A maker of clones over real sockets: the engines of a server, and the fakes of their providers.

The imports inside functions are not for the program that is killed, which would begin with them.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, NamedTuple

from policies.plans import Plan, Prices
from policies.price import MICRO, Price, Rate
from proxy.config.sections import Config, EngineSection
from proxy.engines import registry
from proxy.engines.engine_list import Engines, open_engines
from proxy.features.clones import records
from proxy.features.clones.bills import CloneBills
from proxy.features.clones.clone_tasks import CloneTasks
from proxy.features.clones.orders import CloneOrders
from proxy.features.clones.recordings import CloneRecordings
from proxy.features.clones.records import CloneRecord, CloneTask
from proxy.features.erasure.tombstone_rows import erase_subject
from proxy.features.own_voices.saved_voices import SavedVoices
from proxy.ledger import open_ledger
from proxy.ledger.budgets import Budgets
from proxy.storage import accounts
from proxy.storage.rows import new_id
from proxy.storage.store import Statement, Store
from proxy.storage.tombstones import Tombstone
from proxy.telemetry.metrics import Metrics
from speech_engine import ModelInfo
from tests.features.consents.granted import granted
from tests.features.own_voices.saving import saved
from tests.features.webhooks.rig import quiet_courier
from tests.proxy.api.inside import Inside

if TYPE_CHECKING:
    from fakes.elevenlabs import Account as ElevenLabsAccount
    from fakes.minimax.account import Account as MinimaxAccount
    from fakes.minimax.app import FakeMinimax
    from fakes.provider import Provider

MINIMAX_KEY, STUDIO_KEY = "fake-minimax-key", "studio-key"
ELEVENLABS_KEY = "fake-elevenlabs-key"
FEE = Rate(1.5, "job")
CLONES_COST = Prices(clone=Price(300 * MICRO, "job"))
ENGINES = ("minimax", "elevenlabs")
ADD = {"minimax": "voice_clone", "elevenlabs": "/v1/voices/add"}
DELETE = {"minimax": "delete_voice", "elevenlabs": "/v1/voices/fakeClone"}
"""The paths at which each provider makes and deletes clones."""


class ToneSource:
    """A source in which every recording is a tone. `sent` counts how often one was asked for."""

    def __init__(self) -> None:
        self.sent = 0

    async def pcm(self, tenant: str, digest: str, info: ModelInfo) -> bytes:
        from tests.sound import tone

        self.sent += 1
        return tone(300, 12.0)


class OwnedVoice(NamedTuple):
    id: str
    account: str


class CloneRig(NamedTuple):
    store: Store
    engines: Engines
    clone_tasks: CloneTasks
    minimax: "FakeMinimax"
    studio: "MinimaxAccount"
    elevenlabs: "ElevenLabsAccount"
    providers: "Mapping[str, Provider]"

    async def want(
        self,
        voice: OwnedVoice,
        engine: str = "minimax",
        credential: str = "default",
        payer: str = "",
        *,
        pays_again: bool = False,
    ) -> str:
        task = CloneTask(
            voice=voice.id,
            account=voice.account,
            revision=1,
            engine=engine,
            credential=credential,
            payer=payer,
        )
        return (await self.clone_tasks.order_clone(task, pays_again=pays_again)).id

    async def step(self) -> None:
        """Do once what there is to do, without waiting for what is due later."""
        await self.clone_tasks.look()
        await self.clone_tasks.finish()

    async def later(self) -> None:
        """Let all delays and leases be over, and do what there is to do."""
        await self.store.write(Statement("UPDATE bindings SET due = 0, lease = 0"))
        await self.step()

    async def row(self, id_: str) -> CloneRecord:
        found = await records.get(self.store, id_)
        assert found is not None
        return found

    async def erase(self, voice: OwnedVoice) -> None:
        tombstone = Tombstone(
            subject=voice.id, account=voice.account, digests=(), began=await self.store.now(), pending=()
        )
        assert await erase_subject(self.store, tombstone)
        self.clone_tasks.look_now()


def voices_at(rig: CloneRig, engine: str) -> list[str]:
    """Return the names of our clones at a provider, in its account `default`."""
    if engine == "minimax":
        return list(rig.minimax.account.voices)
    return [name for name in rig.elevenlabs.voices.values() if name.startswith("voxgate-")]


def config(urls: Mapping[str, str]) -> Config:
    """Return the configuration of both providers."""
    return Config(
        engines={
            "minimax": EngineSection(
                "minimax",
                settings={"api_key": MINIMAX_KEY, "base_url": urls["minimax"]},
                costs={"clone": FEE},
            ),
            "elevenlabs": EngineSection(
                "elevenlabs", settings={"api_key": ELEVENLABS_KEY, "base_url": urls["elevenlabs"]}
            ),
        },
        plans={
            "free": Plan(name="free"),
            "local": Plan(name="local", local_only=True),
            "other": Plan(name="other", engines=("elevenlabs",)),
            "pro": Plan(name="pro", allowance=5000 * MICRO, streams=1, clones=3, prices=CLONES_COST),
            "short": Plan(name="short", allowance=500 * MICRO, prices=CLONES_COST),
            "none": Plan(name="none", clones=0, prices=CLONES_COST),
        },
    )


class Clouds(NamedTuple):
    """The fakes of both providers, and where they are."""

    minimax: "FakeMinimax"
    studio: "MinimaxAccount"
    elevenlabs: "ElevenLabsAccount"
    providers: "Mapping[str, Provider]"
    urls: Mapping[str, str]


@asynccontextmanager
async def clouds() -> AsyncIterator[Clouds]:
    import fakes.elevenlabs
    from fakes.elevenlabs import Account as ElevenLabsAccount
    from fakes.minimax.account import Account as MinimaxAccount
    from fakes.minimax.app import FakeMinimax
    from fakes.serving import served

    studio, elevenlabs = MinimaxAccount(), ElevenLabsAccount()
    fake = FakeMinimax(others={STUDIO_KEY: studio})
    providers = {"minimax": fake.provider, "elevenlabs": fakes.elevenlabs.fake(account=elevenlabs)}
    async with AsyncExitStack() as stack:
        urls = {name: (await stack.enter_async_context(served(each))).url for name, each in providers.items()}
        yield Clouds(fake, studio, elevenlabs, providers, urls)


@asynccontextmanager
async def clone_rig(store: Store, known: Clouds | None = None) -> AsyncIterator[CloneRig]:
    async with AsyncExitStack() as stack:
        at = await stack.enter_async_context(clouds()) if known is None else known
        engines, clone_tasks = await stack.enter_async_context(opened(store, config(at.urls)))
        yield CloneRig(store, engines, clone_tasks, at.minimax, at.studio, at.elevenlabs, at.providers)


@asynccontextmanager
async def opened(store: Store, config: Config) -> AsyncIterator[tuple[Engines, CloneTasks]]:
    """Open the engines of a configuration, with a maker that does nothing by itself."""
    metrics = Metrics()
    async with (
        open_ledger(store, metrics) as ledger,
        open_engines(registry.load(), config, metrics.engines) as engines,
    ):
        recordings = CloneRecordings(store, saved(store), ToneSource(), granted(store))
        bills = CloneBills(ledger, metrics.registry)
        clone_tasks = CloneTasks(store, engines, recordings, bills, quiet_courier(store))
        clone_tasks.revise(config, Budgets(store, config.engines, metrics.engines))
        try:
            yield engines, clone_tasks
        finally:
            await clone_tasks.close()


async def owned_voice(
    store: Store,
    *,
    providers: str = "",
    plan: str = "free",
    seconds: float = 12.0,
    account: str | None = None,
) -> OwnedVoice:
    """Add a voice of one recording, with a consent. `providers` is the consent's list, as JSON.

    Without an account, the voice has one of its own.
    """
    voice, consent = new_id("voice"), f"cons_{voice_number()}"
    if account is None:
        account = (await accounts.create(store, name=f"owner of {voice}", plan=plan)).id
    await store.write(
        Statement(
            """
            INSERT INTO consents (id, account, kind, language, providers, made_by, created, wrapped, sealed)
            VALUES (:id, :account, 'statement', 'en', :providers, 'control', 1, '', '')
            """,
            {"id": consent, "account": account, "providers": providers},
        ),
        Statement(
            "INSERT INTO voices (id, account, name, kind, revision, created, members, language, consent) "
            "VALUES (:id, :account, :id, 'sample', 1, 1, '{}', 'en', :consent)",
            {"id": voice, "account": account, "consent": consent},
        ),
        Statement(
            "INSERT INTO samples (voice, number, account, digest, seconds) "
            "VALUES (:id, 1, :account, 'digest', CAST(:seconds AS DOUBLE PRECISION))",
            {"id": voice, "account": account, "seconds": seconds},
        ),
    )
    return OwnedVoice(voice, account)


def voice_number() -> str:
    return new_id("voice").removeprefix("voice_")


def maker_of(server: Inside) -> CloneTasks:
    """The maker of clones of a worker."""
    orders = server.worker.open_features.context.find(SavedVoices).clones
    assert isinstance(orders, CloneOrders)
    return orders.clone_tasks
