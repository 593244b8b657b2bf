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

from policies.costs import micro_usd
from policies.plans import Plan, Terms
from proxy.catalogue.clones import ClonePlace
from proxy.config.model_names import CLONE
from proxy.config.sections import Config
from proxy.engines.engine_list import Engines
from proxy.errors import NotFound
from proxy.features.clones import lists as binding_lists
from proxy.features.clones import records as bindings
from proxy.features.clones import rules
from proxy.features.clones import uses as clone_uses
from proxy.features.clones.at_provider import ProviderClones
from proxy.features.clones.attempt import CloneAttempt
from proxy.features.clones.bills import CloneBills
from proxy.features.clones.metrics import CloneMetrics
from proxy.features.clones.places import ClonePlaces
from proxy.features.clones.recordings import CloneRecordings
from proxy.features.clones.records import BindingRecord, BindingWish
from proxy.features.clones.rules import SECOND
from proxy.features.clones.under_way import MOST_AT_ONCE, ClonesUnderWay
from proxy.ledger import Ledger
from proxy.ledger.budgets import Budgets
from proxy.storage.audit import Act
from proxy.storage.installation import installation_id
from proxy.storage.store import Store
from proxy.telemetry.background import RepeatingTask
from proxy.telemetry.metrics import Metrics

LOST = "The provider does not have it any more."
LEASE_S = 600.0
"""Longer than an attempt. So a provider has ended the work of a killed worker before it is asked again."""
_ATTEMPT_S = 480.0
_DELETION_LEASE_US = 120 * SECOND
_DELETION_S = 100.0
_GONE_WITHIN_S = 3.0
_LOOK_EVERY_S = 5.0
_PAUSE_S = 0.1


class BindingMaker:
    """The maker of clones in one worker. `look` finds once what there is to do, and begins it."""

    def __init__(
        self,
        store: Store,
        engines: Engines,
        recordings: CloneRecordings,
        bills: CloneBills,
        *,
        lease_s: float = LEASE_S,
    ) -> None:
        self.bills = bills
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
        self._under_way = ClonesUnderWay(self._wake.set)
        self._uses: set[tuple[str, str, str]] = set()

    def __repr__(self) -> str:
        return f"<BindingMaker {self._under_way!r}>"

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

    async def want(
        self, wish: BindingWish, act: Act | None = None, *, pays_again: bool = False
    ) -> BindingRecord:
        """Have a voice cloned. Raises NotFound if the voice is gone.

        Whether this place may have the recording is for the caller to check first, and it is checked again
        when the recording is sent. A clone that the provider has no more is made anew where that is free;
        elsewhere only if somebody `pays_again`: the account, or the operator.
        """
        is_free = not self._fees.get(wish.engine)
        record = await bindings.want(self._store, wish, act, replaces_expired=pays_again or is_free)
        if record is None:
            raise NotFound(f"The voice '{wish.voice}' does not exist.", param="voice", code="voice_not_found")
        self.begin(wish.account)
        return record

    def begin(self, account: str) -> None:
        """Begin what an account has just wished."""
        self.on_change(account)
        self.look_soon()

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
        """Note which clones have spoken, and which are lost, and begin what there is to do."""
        await self._note_uses()
        for account in await clone_uses.note_losses(self._store, self._engines.take_losses(), LOST):
            self.on_change(account)
        self._under_way.forget_ended()
        self._wake.clear()
        places, now = self.places.configured(), await self._store.now()
        # Of those that are listed, some may be of an account which has its place already.
        for record in await binding_lists.list_open(self._store, places, now, 2 * MOST_AT_ONCE):
            if self._under_way.has_place(record):
                self._under_way.begin(record, self._work(record))

    async def finish(self) -> None:
        """Wait until nothing is under way."""
        await self._under_way.finish()

    async def close(self) -> None:
        await self._under_way.close()

    async def _note_uses(self) -> None:
        self._uses |= self._engines.take_uses()
        if self._uses:
            uses = dict.fromkeys(self._uses, await self._store.now())
            await clone_uses.note_uses(self._store, uses)
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
                await self.bills.release(held)
                await bindings.move(self._store, held, "stranded", error="Its provider's account is gone.")
            case "restore":
                await bindings.move(self._store, held, rules.restored_state(held))
            case "expire":
                await bindings.move(self._store, held, "expired", error="The provider has deleted it unused.")
            case "remove":
                await self.bills.release(held)
                await bindings.remove(self._store, held)
            case "delete":
                if (attempt := await self._attempt(held)) is not None:
                    await attempt.delete(held, _DELETION_S)
            case "make" | "settle":
                attempt = await self._attempt(held)
                if attempt is not None and not await self._is_too_dear(held, attempt.terms):
                    await attempt.make(held, self._recordings, _ATTEMPT_S)
            case "rest":
                return

    async def _attempt(self, held: BindingRecord) -> CloneAttempt | None:
        """Return what can be tried now. Otherwise put it off: that is no failed try, so none is counted."""
        info = self.places.info(held.engine)
        if info is None:
            # The engine has not said yet what it can do.
            await self._put_off(held, rules.FIRST_DELAY_S, held.error)
            return None
        return CloneAttempt(
            self._store,
            self._engines[held.engine],
            ClonePlace(held.engine, held.credential, info),
            await self.prefix(),
            self.bills,
            await self._recordings.terms(held.account, self._plans),
            self._fees.get(held.engine),
        )

    async def _is_too_dear(self, held: BindingRecord, terms: Terms | None) -> bool:
        """Put a clone off while a budget is used up. The operator may raise it, so it is asked every hour."""
        if self._budgets is None:
            return False
        if (used_up := await self._budgets.used_up(held.engine, held.account, terms)) is None:
            return False
        left_s = (used_up.until - await self._store.now()) / SECOND
        await self._put_off(held, min(left_s, rules.LONGEST_DELAY_S), f"The {used_up.reason}.")
        return True

    async def _put_off(self, held: BindingRecord, wait_s: float, error: str) -> None:
        due = await self._store.now() + round(wait_s * SECOND)
        await bindings.move(self._store, held, held.state, due=due, tries=held.tries, error=error)

    def clones_at(self, engine: str, credential: str) -> ProviderClones:
        """Return the clones of one account at a provider."""
        return ProviderClones(self._engines[engine], credential, "")

    def fee(self, engine: str) -> int | None:
        """Return what a clone costs, in millionths of a dollar, if the configuration says so."""
        return self._fees.get(engine)

    async def wait_until_gone(self, voice: str) -> bool:
        """Wait a moment until no provider has a copy of an erased voice, and tell whether that is so."""
        self.look_soon()
        try:
            async with asyncio.timeout(_GONE_WITHIN_S):
                while True:
                    ended = self._under_way.ended
                    if await bindings.is_gone(self._store, voice):
                        return True
                    await ended.wait()
        except TimeoutError:
            # Another worker may have deleted it.
            return await bindings.is_gone(self._store, voice)

    async def prefix(self) -> str:
        """Return how the names of this database's clones begin."""
        return f"voxgate-{await installation_id(self._store, secrets.token_hex(4))}-"


def _ignore_change(_account: str) -> None:
    """Do nothing: nobody keeps clones in memory."""


@asynccontextmanager
async def open_binding_maker(
    engines: Engines, recordings: CloneRecordings, ledger: Ledger, metrics: Metrics
) -> AsyncIterator[BindingMaker]:
    """Make clones until the end of the block."""
    bills = CloneBills(ledger, CloneMetrics(metrics.registry))
    maker = BindingMaker(ledger.store, engines, recordings, bills)
    engines.on_loss(maker.look_soon)
    making = RepeatingTask("clones at providers", maker.turn, _PAUSE_S, metrics)
    try:
        yield maker
    finally:
        await making.close()
        await maker.close()
