"""Makes clones at providers, and deletes those whose voices are erased.

A worker takes the lease of a row, and commits the name of its request before it sends the request. If it is
killed, the next holder of the lease first looks for that name at the provider. So no clone is made twice, and
none is forgotten at the provider.
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
"""Longer than an attempt, so that a provider has ended the work of a killed worker before the next
request."""
_ATTEMPT_S = 480.0
_DELETION_LEASE_S = 120.0
_DELETION_S = 100.0
_WAIT_UNTIL_GONE_S = 3.0


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
        self.targets = CloneTargets(engines)
        self._engines = engines
        self._recordings = recordings
        self._notices = notices
        self.on_change: Callable[[str], None] = _ignore_change
        self._plans: Mapping[str, Plan] = {}
        self._fees_micro_usd: Mapping[str, int] = {}
        self._budgets: Budgets | None = None
        self._uses: set[records.CloneId] = set()

    def revise(
        self, config: Config, budgets: Budgets, on_change: Callable[[str], None] | None = None
    ) -> None:
        """Take a revision of the configuration. `on_change` is called with the account of each clone that
        changes."""
        self.on_change = on_change or _ignore_change
        self._plans = {plan.name: plan for plan in config.plans.values()}
        self._fees_micro_usd = {
            name: cost_micro_usd(section.costs[CLONE], seconds=0.0, characters=0, units=None)
            for name, section in config.engines.items()
            if CLONE in section.costs
        }
        self._budgets = budgets

    async def order_clone(
        self, task: CloneTask, act: Act | None = None, *, pays_again: bool = False
    ) -> CloneRecord:
        """Order a clone of a voice. Raises NotFound if the voice is gone.

        The caller has checked whether this provider may have the recording. The check is repeated when the
        recording is sent. A clone that the provider has deleted is made anew if that is free, or if
        `pays_again`.
        """
        is_free = not self._fees_micro_usd.get(task.engine)
        record = await records.add_task(self._store, task, act, replaces_expired=pays_again or is_free)
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
        return await records.list_open(
            self._store, self.targets.list_credentials(), now, 2 * self.most_at_once
        )

    def lease_s(self, task: CloneRecord) -> float:
        return _DELETION_LEASE_S if task.state == "doomed" else _LEASE_S

    def concurrency_limits(self, task: CloneRecord) -> Mapping[Hashable, int]:
        """Return the limits of simultaneous attempts: `most_at_once` clones and as many deletions for each
        credential, and one clone for each account."""
        kind = rules.step_kind(task)
        places: dict[Hashable, int] = {(task.engine, task.credential, kind): self.most_at_once}
        if kind == "make":
            places[task.engine, task.credential, kind, task.account] = 1
        return places

    def is_last_try(self, task: CloneRecord) -> bool:
        return rules.gives_up(task)

    async def failure_columns(self, task: CloneRecord) -> Params:
        """Release the hold of a clone that failed for good. If the provider has it after all, it is charged
        when it is found."""
        found = await self.table.get(self._store, task.id)
        was_deleting = found is not None and found.state == "doomed" != task.state
        if found is not None and found.fence == task.fence and not was_deleting:
            await self.bills.release(task)
            self.bills.ended_clones.labels(task.engine, "failed").inc()
        return {"state": "failed", "due": 0}

    async def failure_statements(self, task: CloneRecord) -> tuple[Statement, ...]:
        notice_rows = records.notice_statements(
            self._notices, task, "voice.clone.failed", await self._store.now()
        )
        return () if task.state == "doomed" else tuple(notice_rows)

    def commit_condition(self, clone: CloneRecord) -> Condition:
        return records.state_condition(clone)

    def after_attempt(self, clone: CloneRecord, result: Result) -> None:
        del result
        self.on_change(clone.account)
        self._notices.look_now()

    async def work(self, clone: CloneRecord) -> Result:
        is_configured = (clone.engine, clone.credential) in self.targets.list_credentials()
        now, free = await self._store.now(), msgspec.structs.replace(clone, lease=0)
        match rules.find_step(free, now, is_configured=is_configured):
            case "strand":
                await self.bills.release(clone)
                return Done({"state": "stranded", "error": "Its provider's account is gone."})
            case "restore":
                return Done({"state": rules.restored_state(clone)})
            case "expire":
                return Done({"state": "expired", "error": "The provider has deleted it unused."})
            case "remove":
                await self.bills.release(clone)
                await records.delete_row(self._store, clone)
                return None
            case "delete" | "make" | "settle":
                return await self._make_or_delete(clone)
            case "rest":
                return Delayed(clone.error, is_try=False, values={"due": clone.due})

    async def _make_or_delete(self, clone: CloneRecord) -> Result:
        info = self.targets.cloning_model(clone.engine)
        if info is None:
            # The engine's capabilities are still unknown.
            return Delayed(clone.error, FIRST_DELAY_S, is_try=False)
        attempt = CloneAttempt(
            self._store,
            self._engines[clone.engine],
            CloneTarget(clone.engine, clone.credential, info),
            await self.name_prefix(),
            self.bills,
            await self._recordings.account_terms(clone.account, self._plans),
            self._fees_micro_usd.get(clone.engine),
            self._notices,
        )
        if clone.state == "doomed":
            return await attempt.run_deletion(clone, _DELETION_S)
        budgets, terms = self._budgets, attempt.terms
        if (
            budgets
            and (used_up := await budgets.find_used_up(clone.engine, clone.account, terms)) is not None
        ):
            # The operator may raise the budget, so the wait has a limit.
            reason, until = used_up
            left_s = (until - await self._store.now()) / SECOND_US
            return Delayed(f"The {reason}.", min(left_s, LONGEST_DELAY_S), is_try=False)
        made = await attempt.run_making(clone, self._recordings, _ATTEMPT_S)
        if budgets:
            await budgets.read_again(clone.engine)
        return made

    async def _note_uses(self) -> None:
        self._uses |= self._engines.take_uses()
        if self._uses:
            now = await self._store.now()
            await records.note_uses(self._store, dict.fromkeys(self._uses, now))
            # If the write fails, the next look repeats it.
            self._uses.clear()

    def clones_at(self, engine: str, credential: str) -> ProviderClones:
        """Return the requests about the clones of all accounts with this credential."""
        return ProviderClones(self._engines[engine], credential, tenant="")

    def fee_micro_usd(self, engine: str) -> int | None:
        """Return the provider's fee for a clone, in micro-USD. None: the configuration has none."""
        return self._fees_micro_usd.get(engine)

    async def wait_until_gone(self, voice: str) -> bool:
        """Wait for `_WAIT_UNTIL_GONE_S` at most until no provider has a copy of an erased voice. Return
        whether none has."""
        self.look_now()
        try:
            async with asyncio.timeout(_WAIT_UNTIL_GONE_S):
                while True:
                    ended = self.ended
                    if await records.has_no_copies(self._store, voice):
                        return True
                    await ended.wait()
        except TimeoutError:
            # Another worker may have deleted the copies.
            return await records.has_no_copies(self._store, voice)

    async def name_prefix(self) -> str:
        return f"voxgate-{await installation_id(self._store, secrets.token_hex(4))}-"


def _ignore_change(_account: str) -> None:
    """Do nothing: no clones are in memory."""


class CloneTargets:
    """The engines that clone voices, with their credentials."""

    def __init__(self, engines: Engines) -> None:
        self._engines = engines

    def list_credentials(self) -> set[tuple[str, str]]:
        """Return every engine with each of its credentials, also engines that are down now."""
        return {
            (name, credential)
            for name, _ in self._engines.items()
            for credential in self._engines.credentials(name) or (DEFAULT_CREDENTIAL,)
        }

    def cloning_model(self, engine: str) -> ModelInfo | None:
        infos = self._engines[engine].models() if engine in self._engines else ()
        return next((info for info in infos if is_cloned_for(info)), None)

    def find_target(self, engine: str, credential: str = "") -> CloneTarget:
        """Return the target of an engine. Without `credential`, it is `default`, or the engine's first one.

        Raises InvalidRequest if there is no such target, and UpstreamFailed if the engine is not up yet.
        """
        labels = sorted(label for name, label in self.list_credentials() if name == engine)
        info = self.cloning_model(engine)
        if info is None and labels and not self._engines[engine].models():
            raise UpstreamFailed(f"The engine '{engine}' is not available right now.", retry_after_s=5.0)
        if info is None:
            able = sorted(name for name, _ in self._engines.items() if self.cloning_model(name) is not None)
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
