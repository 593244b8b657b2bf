"""Make the clones that are wanted at providers, and delete those whose voices are erased.

Every worker looks for rows with something to do, and takes the lease of a row before it asks a provider.
The name for which it asks is committed first. So the next holder, after a worker was killed, looks for that
name before it asks again: nothing unknown is left at the provider, and nothing is made twice.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

from policies import bindings as rules
from policies.bindings import SECOND
from policies.costs import micro_usd
from policies.plans import Plan
from proxy.config.model_names import CLONE
from proxy.config.sections import Config
from proxy.engines.engine_list import Engines
from proxy.errors import NotFound
from proxy.ledger.budgets import Budgets
from proxy.storage import bindings
from proxy.storage.audit import Act
from proxy.storage.bindings import BindingRecord, BindingWish
from proxy.storage.store import Store
from proxy.telemetry.background import RepeatingTask
from proxy.telemetry.metrics import Metrics
from proxy.voices.clone_attempt import CloneAttempt
from proxy.voices.clone_places import ClonePlace, ClonePlaces
from proxy.voices.clone_recordings import CloneRecordings
from proxy.voices.provider_clones import ProviderClones

LEASE_S = 600.0
"""Longer than an attempt. So a provider has ended the work of a killed worker before it is asked again."""
_ATTEMPT_S = 480.0
_DELETION_LEASE_US = 120 * SECOND
_DELETION_S = 100.0
_CLOSING_S = 5.0
_GONE_LOOKS, _GONE_PAUSE_S = 30, 0.1
_LOOK_EVERY_S = 5.0
_PAUSE_S = 0.1
_MOST_AT_ONCE = 8


class BindingMaker:
    """The maker of clones in one worker. `look` finds once what there is to do, and begins it."""

    def __init__(
        self, store: Store, engines: Engines, recordings: CloneRecordings, *, lease_s: float = LEASE_S
    ) -> None:
        self.places = ClonePlaces(engines)
        self._store = store
        self._engines = engines
        self._recordings = recordings
        self._lease_us = round(lease_s * SECOND)
        self.on_change: Callable[[str], None] = _ignore_change
        self._plans: Mapping[str, Plan] = {}
        self._fees: Mapping[str, int] = {}
        self._budgets: Budgets | None = None
        self._wake = asyncio.Event()
        self._uses: set[tuple[str, str, str]] = set()
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def __repr__(self) -> str:
        return f"<BindingMaker, {len(self._tasks)} under way>"

    def revise(
        self, config: Config, budgets: Budgets, on_change: Callable[[str], None] | None = None
    ) -> None:
        """Take a revision of the configuration. `on_change` is told the account of a clone that changed."""
        self.on_change = on_change or _ignore_change
        self._plans = {plan.name: plan for plan in config.plans.values()}
        self._fees = {
            name: micro_usd(section.costs[CLONE], seconds=0.0, characters=0, units=None)
            for name, section in config.engines.items()
            if CLONE in section.costs
        }
        self._budgets = budgets

    async def want(self, wish: BindingWish, act: Act | None = None) -> BindingRecord:
        """Have a voice cloned. Raises NotFound if the voice is gone.

        Whether this place may have the recording is for the caller to check first, and it is checked again
        when the recording is sent.
        """
        record = await bindings.want(self._store, wish, act)
        if record is None:
            raise NotFound(f"The voice '{wish.voice}' does not exist.", param="voice", code="voice_not_found")
        self.on_change(wish.account)
        self.look_soon()
        return record

    def look_soon(self) -> None:
        """Look for something to do at once: a clone is wanted, or doomed."""
        self._wake.set()

    async def turn(self) -> None:
        """Begin what there is to do, and wait until there may be more."""
        await self.look()
        try:
            async with asyncio.timeout(_LOOK_EVERY_S):
                await self._wake.wait()
        except TimeoutError:
            return

    async def look(self) -> None:
        """Note which clones have spoken, and begin what there is to do."""
        await self._note_uses()
        ended = [id_ for id_, task in self._tasks.items() if task.done()]
        for id_ in ended:
            self._tasks.pop(id_).result()  # a failure of ours goes to the seam of this background task
        self._wake.clear()
        room = _MOST_AT_ONCE - len(self._tasks)
        now = await self._store.now()
        for record in await bindings.list_open(self._store, self.places.configured(), now, room):
            if record.id not in self._tasks:
                task = asyncio.create_task(self._work(record), name=f"clone {record.id}")
                self._tasks[record.id] = task
                task.add_done_callback(lambda _task: self._wake.set())

    async def finish(self) -> None:
        """Wait until nothing is under way."""
        while self._tasks:
            await asyncio.wait(self._tasks.values())
            for id_ in [id_ for id_, task in self._tasks.items() if task.done()]:
                self._tasks.pop(id_).result()

    async def close(self) -> None:
        """Stop what is under way. Its leases end by themselves, when its providers have ended it too."""
        if self._tasks:
            await asyncio.wait(self._tasks.values(), timeout=_CLOSING_S)
        for task in self._tasks.values():
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks.values())

    async def _note_uses(self) -> None:
        self._uses |= self._engines.take_uses()
        if self._uses:
            uses = dict.fromkeys(self._uses, await self._store.now())
            await bindings.note_uses(self._store, uses)
            # If the database is away, they are noted at the next look.
            self._uses.clear()

    async def _work(self, record: BindingRecord) -> None:
        now = await self._store.now()
        is_configured = (record.engine, record.credential) in self.places.configured()
        step = rules.find_step(record, now, is_configured=is_configured)
        if step == "rest":
            return
        lease_us = min(self._lease_us, _DELETION_LEASE_US) if step == "delete" else self._lease_us
        held = await bindings.take(self._store, record, lease_us)
        if held is not None:
            await self._do(step, held)
            self.on_change(record.account)

    async def _do(self, step: rules.Step, held: BindingRecord) -> None:
        match step:
            case "strand":
                await bindings.move(self._store, held, "stranded", error="Its provider's account is gone.")
            case "restore":
                await bindings.move(self._store, held, rules.restored_state(held))
            case "expire":
                await bindings.move(self._store, held, "expired", error="The provider has deleted it unused.")
            case "remove":
                await bindings.remove(self._store, held)
            case _:
                await self._attempt(held)

    async def _attempt(self, held: BindingRecord) -> None:
        info = self.places.info(held.engine)
        if info is None:
            # The engine has not said yet what it can do. That is no failed try.
            due = await self._store.now() + round(rules.FIRST_DELAY_S * SECOND)
            await bindings.move(self._store, held, held.state, due=due, tries=held.tries, error=held.error)
            return
        attempt = CloneAttempt(
            self._store,
            self._engines[held.engine],
            ClonePlace(held.engine, held.credential, info),
            await self.prefix(),
            self._fees.get(held.engine),
        )
        if held.state == "doomed":
            await attempt.delete(held, _DELETION_S)
            return
        used_up = "" if self._budgets is None else await self._budgets.used_up(held.engine)
        await attempt.make(held, self._recordings, self._plans, _ATTEMPT_S, obstacle=used_up)

    def clones_at(self, engine: str, credential: str) -> ProviderClones:
        """Return the clones of one account at a provider."""
        return ProviderClones(self._engines[engine], credential, "")

    def fee(self, engine: str) -> int | None:
        """Return what a clone costs, in millionths of a dollar, if the configuration says so."""
        return self._fees.get(engine)

    async def wait_until_gone(self, voice: str) -> bool:
        """Wait a moment until no provider has a copy of an erased voice, and tell whether that is so."""
        for _ in range(_GONE_LOOKS):
            if await bindings.is_gone(self._store, voice):
                return True
            self.look_soon()
            await asyncio.sleep(_GONE_PAUSE_S)
        return False

    async def prefix(self) -> str:
        """Return how the names of this database's clones begin."""
        return f"voxgate-{await bindings.installation_id(self._store, secrets.token_hex(4))}-"


def _ignore_change(_account: str) -> None:
    """Do nothing: nobody keeps clones in memory."""


@asynccontextmanager
async def open_binding_maker(
    store: Store, engines: Engines, recordings: CloneRecordings, metrics: Metrics
) -> AsyncIterator[BindingMaker]:
    """Make clones until the end of the block."""
    maker = BindingMaker(store, engines, recordings)
    making = RepeatingTask("clones at providers", maker.turn, _PAUSE_S, metrics)
    try:
        yield maker
    finally:
        await making.close()
        await maker.close()
