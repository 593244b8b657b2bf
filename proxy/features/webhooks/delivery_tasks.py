"""Deliveries to webhooks: any worker takes one, until it has arrived or failed for good. A worker that
is killed may have sent the event, so a receiver may see one event twice, with the same `webhook-id`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable, Mapping, Sequence

import structlog
from prometheus_client import CollectorRegistry, Counter

from policies.tasks import SECOND_US
from proxy.catalogue.notices import Notices
from proxy.features.webhooks import deliveries, records, rules, signing
from proxy.features.webhooks.deliveries import WebhookDelivery
from proxy.features.webhooks.records import Event, WebhookRecord, WebhookSeal
from proxy.features.webhooks.section import WebhookSection
from proxy.features.webhooks.sender import Sender, TryOutcome, WebhookRequest
from proxy.file_store.vault import Vault, VaultFailed
from proxy.http.hosts import KnownHosts
from proxy.queue.tasks import Delayed, Done, Result, TaskKind
from proxy.storage import accounts
from proxy.storage.audit import Act
from proxy.storage.store import ALWAYS, Condition, Params, Statement, Store

OFF = "The webhook is off."
GONE = "Its receiver answered that it is gone for good (HTTP 410)."
FAILED = "Nothing has arrived there for three days."
_MOST_OF_WEBHOOK, _MOST_OF_ACCOUNT, _MOST_OF_HOST = 2, 4, 8
_BATCH = 1000

_log = structlog.get_logger()


def own_limits(task: WebhookDelivery) -> Mapping[Hashable, int]:
    """Return the places of a delivery that its account alone can fill."""
    return {("account", task.account): _MOST_OF_ACCOUNT, ("webhook", task.webhook): _MOST_OF_WEBHOOK}


EventStatements = Callable[[str, Event, Mapping[str, str], int, Condition], Sequence[Statement]]
"""Returns the statements that mail an event to the people of an account. See `DeliveryTasks.statements`."""


def no_statements(*_event: object) -> Sequence[Statement]:
    return ()


class DeliveryTasks(TaskKind[WebhookDelivery], Notices):
    """The deliveries of one worker. Other features notify accounts of events with it. The feature `mail` sets
    `mail_statements`."""

    name = "webhooks"
    table = deliveries.TASKS
    most_at_once = 32
    may_outlive_worker = False

    def __init__(self, store: Store, vault: Vault, sender: Sender, registry: CollectorRegistry) -> None:
        super().__init__(store)
        self.section = WebhookSection()
        self.mail_statements: EventStatements = no_statements
        self._vault = vault
        self._sender = sender
        self._tries = Counter(
            "voxgate_webhook_deliveries",
            "Tries to tell a webhook of an event: `delivered`, `again` later, or `failed` for good.",
            ["result"],
            registry=registry,
        )

    def statements(
        self, account: str, event: Event, data: Mapping[str, str], now: int, only_if: Condition = ALWAYS
    ) -> Sequence[Statement]:
        """Return the statements that notify an account of an event, for the commit in which it happens at
        `now`.

        So no event is lost, and a rollback sends none. `data` has ids alone, never a text of a person.
        Nothing is sent unless `only_if` is true in the commit; for statements in the commit of a task's end,
        use `finished` of its table. `look_now` then sends it at once.
        """
        sent = deliveries.add_statements(account, event, data, now, only_if) if self.section.on else ()
        return (*sent, *self.mail_statements(account, event, data, now, only_if))

    async def allowed_hosts(self, account: str) -> Callable[[str], bool]:
        """Return the check of hosts that the operator allows an account, at any address."""
        by_account = self.section.accounts
        names = [*self.section.allow, *by_account.get(account, ())]
        if by_account and (found := await accounts.get(self._store, account)) is not None:
            names += by_account.get(found.name, ())
        return KnownHosts(names).has_name

    def concurrency_limits(self, task: WebhookDelivery) -> Mapping[Hashable, int]:
        """See `TaskKind`. A host, a webhook and an account have few places each, so none can block all
        others."""
        return {"": self.most_at_once, **own_limits(task), ("host", task.host): _MOST_OF_HOST}

    async def list_open(self, now: int) -> list[WebhookDelivery]:
        if not self.section.on:
            return []
        # The ids of full accounts, webhooks and hosts. Their deliveries would hide those that can begin.
        full = {place[1] for place in self.full_limits() if isinstance(place, tuple)}
        return await deliveries.list_open(self._store, now, 2 * self.most_at_once, full)

    async def work(self, held: WebhookDelivery) -> Result:
        webhook = await records.get(self._store, None, held.webhook)
        is_test = not held.began  # see `deliveries.new_sample`
        if webhook is None or (webhook.off_reason and not is_test):
            return _ended_result(held, "failed", await self._store.now(), held.status, OFF)
        outcome = await self._send(held, webhook)
        now = await self._store.now()
        verdict = rules.judge_status(outcome.status, now, held.began)
        if verdict == "delivered":
            success = records.clear_failing_statement(webhook.id)
            return _ended_result(held, "delivered", now, outcome.status, "", success)
        if not is_test:
            await records.note_failure(self._store, webhook, now)
        if verdict == "again":
            seen: Params = {"status": outcome.status, "answered": now}
            return Delayed(outcome.reason, outcome.retry_after_s, values=seen)
        reason = GONE if verdict == "gone" else FAILED
        is_off = verdict == "gone" or (not is_test and rules.must_turn_off(now, webhook.failing_since))
        off = (records.turn_off_statement(webhook.id, reason, self.table.finished),) if is_off else ()
        if off:
            _log.warning("webhook.turned_off", webhook=webhook.id, account=webhook.account, reason=reason)
        return _ended_result(held, "failed", now, outcome.status, outcome.reason, *off)

    async def _send(self, held: WebhookDelivery, webhook: WebhookRecord) -> TryOutcome:
        log_fields = {"webhook": held.webhook, "delivery": held.id, "host": webhook.host}
        _log.info("webhook.delivery.started", event_type=held.type, tries=held.tries, **log_fields)
        outcome = await self._send_once(held, webhook)
        if outcome.reason:
            _log.warning(
                "webhook.delivery.failed", status=outcome.status, reason=outcome.detail, **log_fields
            )
        else:
            _log.info("webhook.delivery.complete", status=outcome.status, **log_fields)
        return outcome

    async def _send_once(self, held: WebhookDelivery, webhook: WebhookRecord) -> TryOutcome:
        try:
            seal = self._vault.open_record(webhook.account, webhook.id, webhook.seal, WebhookSeal)
        except VaultFailed as error:
            return TryOutcome(None, "The server cannot open its secret.", str(error))
        # The operator's allowed hosts may have changed since the webhook was made.
        is_allowed, target = await self.allowed_hosts(webhook.account), rules.read_url(seal.url)
        if (fault := rules.target_fault(target, is_allowed)) is not None:
            return TryOutcome(None, f"Nothing is sent to its URL: {fault}.", fault)
        now, body = await self._store.now(), held.body
        headers = signing.headers(held.event, now // SECOND_US, body, seal.secrets(now))
        request = WebhookRequest(held.account, seal.url, headers, body, is_allowed(target.host))
        return await self._sender.send(request)

    async def begin_new(self, held: WebhookDelivery, act: Act | None) -> asyncio.Task[None]:
        """Add a delivery under our lease, and begin it."""
        await deliveries.add_delivery(self._store, held, act)
        return self.start_held(held)

    def after_attempt(self, held: WebhookDelivery, result: Result) -> None:
        del held
        if isinstance(result, Delayed):
            self._tries.labels("again").inc()
        elif isinstance(result, Done):
            self._tries.labels("delivered" if result.values["state"] == "delivered" else "failed").inc()

    async def tidy(self) -> None:
        """Delete old deliveries."""
        before = await self._store.now() - rules.LISTED_US
        while await deliveries.delete_older(self._store, before, _BATCH) == _BATCH:
            pass  # there may be more


def _ended_result(
    held: WebhookDelivery, state: str, at: int | None, status: int | None, error: str, *also: Statement
) -> Done:
    values: Params = {
        "state": state,
        "answered": at,
        "status": status,
        "error": error,
        "tries": held.tries + 1,
    }
    return Done(values, also)
