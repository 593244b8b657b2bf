"""Make clones at providers, and delete those whose voices are erased.

Every worker looks for rows with something to do, and takes the lease of a row before it asks a provider.
The name for which it asks is committed first. So the next holder, after a worker was killed, looks for that
name before it asks again: nothing unknown is left at the provider, and nothing is made twice.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Hashable, Mapping

import msgspec

from policies.plans import Plan
from policies.price import cost_micro_usd
from policies.routing import is_cloned_for
from policies.tasks import FIRST_DELAY_S, LONGEST_DELAY_S, SECOND_US
from proxy.catalogue.clones import ENGINES_FIELD, CloneTarget
from proxy.config.engines import DEFAULT_CREDENTIAL
from proxy.config.model_names import CLONE
from proxy.config.reader import names_hint
from proxy.config.sections import Config
from proxy.engines.engine_list import Engines
from proxy.errors import InvalidRequest, NotFound, UpstreamFailed
from proxy.features.clones import records, rules
from proxy.features.clones.attempt import CloneAttempt, ProviderClones
from proxy.features.clones.bills import CloneBills
from proxy.features.clones.recordings import CloneRecordings
from proxy.features.clones.records import CloneRecord, CloneTask
from proxy.features.webhooks.delivery_tasks import DeliveryTasks
from proxy.ledger.budgets import Budgets
from proxy.queue.tasks import Delayed, Done, Result, TaskKind
from proxy.storage.audit import Act
from proxy.storage.schema import installation_id
from proxy.storage.store import Condition, Params, Statement, Store
from speech_engine import ModelInfo

LOST = "The provider does not have it any more."
_LEASE_S = 600.0
"""Longer than an attempt. So a provider has ended the work of a killed worker before the next request."""
_ATTEMPT_S = 480.0
_DELETION_LEASE_S = 120.0
_DELETION_S = 100.0
_GONE_WITHIN_S = 3.0


class CloneTasks(TaskKind[CloneRecord]):
    name = "clones at providers"
    table = records.TASKS

    def __init__(
        self,
        store: Store,
        engines: Engines,
        recordings: CloneRecordings,
        bills: CloneBills,
        notices: DeliveryTasks,
    ) -> None:
        super().__init__(store)
        self.bills = bills
        self.places = CloneTargets(engines)
        self._engines = engines
        self._recordings = recordings
        self._notices = notices
        self.on_change: Callable[[str], None] = _ignore_change
        self._plans: Mapping[str, Plan] = {}
        self._fees: Mapping[str, int] = {}
        self._budgets: Budgets | None = None
        self._uses: set[tuple[str, str, str]] = set()

    def revise(
        self, config: Config, budgets: Budgets, on_change: Callable[[str], None] | None = None
    ) -> None:
        """Take a revision of the configuration. `on_change` gets the account of a clone that changed."""
        self.on_change = on_change or _ignore_change
        self._plans = {plan.name: plan for plan in config.plans.values()}
        self._fees = {
            name: cost_micro_usd(section.costs[CLONE], seconds=0.0, characters=0, units=None)
            for name, section in config.engines.items()
            if CLONE in section.costs
        }
        self._budgets = budgets

    async def want(self, task: CloneTask, act: Act | None = None, *, pays_again: bool = False) -> CloneRecord:
        """Have a voice cloned. Raises NotFound if the voice is gone.

        The caller checks first whether this provider may have the recording; the check is repeated when the
        recording is sent. A clone that the provider has deleted is made anew if that is free, or if the
        account or the operator `pays_again`.
        """
        is_free = not self._fees.get(task.engine)
        record = await records.want(self._store, task, act, replaces_expired=pays_again or is_free)
        if record is None:
            raise NotFound(f"The voice '{task.voice}' does not exist.", param="voice", code="voice_not_found")
        self.begin_account_clones(task.account)
        return record

    def begin_account_clones(self, account: str) -> None:
        self.on_change(account)
        self.look_now()

    async def look(self) -> list[CloneRecord]:
        """Note which clones have spoken and which are lost, and begin the open tasks."""
        await self._note_uses()
        for account in await records.note_losses(self._store, self._engines.take_losses(), LOST):
            self.on_change(account)
        return await super().look()

    async def list_open(self, now: int) -> list[CloneRecord]:
        return await records.list_open(self._store, self.places.configured(), now, 2 * self.most_at_once)

    def lease_s(self, task: CloneRecord) -> float:
        return _DELETION_LEASE_S if task.state == "doomed" else _LEASE_S

    def concurrency_limits(self, task: CloneRecord) -> Mapping[Hashable, int]:
        """Each account of a provider has places for clones, and as many for deletions. Of an account of ours,
        one clone is made at a time."""
        kind = rules.kind(task)
        places: dict[Hashable, int] = {(task.engine, task.credential, kind): self.most_at_once}
        if kind == "make":
            places[task.engine, task.credential, kind, task.account] = 1
        return places

    def is_last_try(self, task: CloneRecord) -> bool:
        return rules.gives_up(task)

    async def failure_columns(self, task: CloneRecord) -> Params:
        """Charge nothing, even in doubt: a clone that exists after all is charged once it is found."""
        found = await self.table.get(self._store, task.id)
        was_deleting = found is not None and found.state == "doomed" != task.state
        if found is not None and found.fence == task.fence and not was_deleting:
            await self.bills.release(task)
            self.bills.ended.labels(task.engine, "failed").inc()
        return {"state": "failed", "due": 0}

    async def failure_statements(self, task: CloneRecord) -> tuple[Statement, ...]:
        notice_rows = records.notice(self._notices, task, "voice.clone.failed", await self._store.now())
        return () if task.state == "doomed" else tuple(notice_rows)

    def commit_condition(self, held: CloneRecord) -> Condition:
        return records.may_move(held)

    def after_attempt(self, held: CloneRecord, result: Result) -> None:
        del result
        self.on_change(held.account)
        self._notices.look_now()

    async def work(self, held: CloneRecord) -> Result:
        is_configured = (held.engine, held.credential) in self.places.configured()
        now, free = await self._store.now(), msgspec.structs.replace(held, lease=0)
        match rules.find_step(free, now, is_configured=is_configured):
            case "strand":
                await self.bills.release(held)
                return Done({"state": "stranded", "error": "Its provider's account is gone."})
            case "restore":
                return Done({"state": rules.restored_state(held)})
            case "expire":
                return Done({"state": "expired", "error": "The provider has deleted it unused."})
            case "remove":
                await self.bills.release(held)
                await records.remove(self._store, held)
                return None
            case "delete" | "make" | "settle":
                return await self._try(held)
            case "rest":
                return Delayed(held.error, is_try=False, values={"due": held.due})

    async def _try(self, held: CloneRecord) -> Result:
        info = self.places.info(held.engine)
        if info is None:
            # The engine's capabilities are still unknown.
            return Delayed(held.error, FIRST_DELAY_S, is_try=False)
        attempt = CloneAttempt(
            self._store,
            self._engines[held.engine],
            CloneTarget(held.engine, held.credential, info),
            await self.prefix(),
            self.bills,
            await self._recordings.terms(held.account, self._plans),
            self._fees.get(held.engine),
            self._notices,
        )
        if held.state == "doomed":
            return await attempt.delete(held, _DELETION_S)
        budgets, terms = self._budgets, attempt.terms
        if budgets and (used_up := await budgets.find_used_up(held.engine, held.account, terms)) is not None:
            # The operator may raise the budget, so it is read every hour.
            reason, until = used_up
            left_s = (until - await self._store.now()) / SECOND_US
            return Delayed(f"The {reason}.", min(left_s, LONGEST_DELAY_S), is_try=False)
        made = await attempt.make(held, self._recordings, _ATTEMPT_S)
        if budgets:
            await budgets.read_again(held.engine)
        return made

    async def _note_uses(self) -> None:
        self._uses |= self._engines.take_uses()
        if self._uses:
            now = await self._store.now()
            await records.note_uses(self._store, dict.fromkeys(self._uses, now))
            # If the database is away, they are noted at the next look.
            self._uses.clear()

    def clones_at(self, engine: str, credential: str) -> ProviderClones:
        return ProviderClones(self._engines[engine], credential, "")

    def fee(self, engine: str) -> int | None:
        """Return what a clone costs, in millionths of a dollar, if the configuration says so."""
        return self._fees.get(engine)

    async def wait_until_gone(self, voice: str) -> bool:
        """Wait a moment until no provider has a copy of an erased voice, and tell whether that is so."""
        self.look_now()
        try:
            async with asyncio.timeout(_GONE_WITHIN_S):
                while True:
                    ended = self.ended
                    if await records.is_gone(self._store, voice):
                        return True
                    await ended.wait()
        except TimeoutError:
            # Another worker may have deleted it.
            return await records.is_gone(self._store, voice)

    async def prefix(self) -> str:
        return f"voxgate-{await installation_id(self._store, secrets.token_hex(4))}-"


def _ignore_change(_account: str) -> None:
    """Do nothing: no clones are in memory."""


class CloneTargets:
    def __init__(self, engines: Engines) -> None:
        self._engines = engines

    def configured(self) -> set[tuple[str, str]]:
        """Return every engine with each of its credentials, those too that are down now."""
        return {
            (name, credential)
            for name, _ in self._engines.items()
            for credential in self._engines.credentials(name) or (DEFAULT_CREDENTIAL,)
        }

    def info(self, engine: str) -> ModelInfo | None:
        infos = self._engines[engine].models() if engine in self._engines else ()
        return next((info for info in infos if is_cloned_for(info)), None)

    def clone_target(self, engine: str, credential: str = "") -> CloneTarget:
        """Return a place. Without a credential, it is `default`, or the engine's first one.

        Raises InvalidRequest if there is no such place, and UpstreamFailed if its engine is not up yet.
        """
        labels = sorted(label for name, label in self.configured() if name == engine)
        info = self.info(engine)
        if info is None and labels and not self._engines[engine].models():
            raise UpstreamFailed(f"The engine '{engine}' is not available right now.", retry_after_s=5.0)
        if info is None:
            able = sorted(name for name, _ in self._engines.items() if self.info(name) is not None)
            raise InvalidRequest(
                f"The engine '{engine[:80]}' cannot clone voices. {names_hint(engine, able, 'engines')}",
                param=ENGINES_FIELD,
            )
        if not credential:
            credential = DEFAULT_CREDENTIAL if DEFAULT_CREDENTIAL in labels else labels[0]
        if credential not in labels:
            raise InvalidRequest(
                f"The engine '{engine}' has no such credential. "
                f"{names_hint(credential, labels, 'credentials')}",
                param="credential",
            )
        return CloneTarget(engine, credential, info)
