"""Deliveries on both databases: told in the commit of what happened, tried for a day, fair, never lost."""

import asyncio
import hmac
import json
from base64 import b64decode, b64encode
from typing import Any

import pytest
from openai import InvalidWebhookSignatureError, OpenAI
from openai.types.webhooks import (
    BatchCancelledWebhookEvent,
    BatchCompletedWebhookEvent,
    BatchExpiredWebhookEvent,
    BatchFailedWebhookEvent,
)

from policies.tasks import SECOND_US
from proxy.features.webhooks import delivery_tasks as couriers
from proxy.features.webhooks import records
from proxy.features.webhooks.records import Event
from proxy.features.webhooks.section import WebhookSection
from proxy.features.webhooks.webhook_store import WebhookChange
from proxy.file_store.vault import VaultFailed
from proxy.storage import accounts
from proxy.storage.store import Statement
from proxy.storage.wrapped_keys import list_masters
from tests.features.webhooks.receiver import Told, receiver, status
from tests.features.webhooks.rig import ON, READY, WebhookRig, webhook_rig
from tests.fixtures import opened
from tests.waiting import soon

rig = opened(webhook_rig, "store", "tmp_path")


def signed_by(told: Told, secret: str) -> bool:
    """As the standard has it, by our own arithmetic."""
    text = f"{told.headers['webhook-id']}.{told.headers['webhook-timestamp']}.".encode() + told.body
    key = b64decode(secret.removeprefix("whsec_"))
    expected = "v1," + b64encode(hmac.digest(key, text, "sha256")).decode()
    return expected in told.headers["webhook-signature"].split(" ")


async def test_an_event_arrives_signed_as_the_sdk_reads_it(rig: WebhookRig) -> None:
    async with receiver() as at:
        ada, webhook = await rig.listening(at.url)
        await rig.tell(ada, data={"id": "bind_7", "voice": "voice_1"})
        await rig.step()
        (told,), (row,) = at.told, await rig.deliveries(webhook)
        assert (row.state, row.status, row.tries, row.error) == ("delivered", 200, 1, "")
        assert json.loads(told.body) == {
            "id": told.headers["webhook-id"],
            "object": "event",
            "type": READY,
            "created_at": row.created // SECOND_US,
            "data": {"id": "bind_7", "voice": "voice_1"},
        }
        assert told.headers["content-type"] == "application/json"
        assert signed_by(told, webhook.seal.secret)
        # Our own events are none of the SDK's types.
        client: Any = OpenAI(api_key="none", webhook_secret=webhook.seal.secret)
        event = client.webhooks.unwrap(told.body, told.headers)
        assert (event.id, event.type) == (row.event, READY)
        with pytest.raises(InvalidWebhookSignatureError):
            client.webhooks.unwrap(told.body.replace(b"bind_7", b"bind_8"), told.headers)
        await rig.later()
        assert len(at.told) == 1, "it arrived"
        assert rig.ended("delivered") == 1


@pytest.mark.parametrize(
    ("event", "type_"),
    [
        ("batch.completed", BatchCompletedWebhookEvent),
        ("batch.failed", BatchFailedWebhookEvent),
        ("batch.expired", BatchExpiredWebhookEvent),
        ("batch.cancelled", BatchCancelledWebhookEvent),
    ],
)
async def test_the_end_of_a_batch_is_the_sdks_own_event(rig: WebhookRig, event: Event, type_: type) -> None:
    async with receiver() as at:
        ada = await rig.account()
        webhook = await rig.webhook(ada, at.url, (event,))
        await rig.tell(ada, event, {"id": "job_1"})
        await rig.step()
        (told,) = at.told
        with OpenAI(api_key="none", webhook_secret=webhook.seal.secret) as client:
            read: Any = client.webhooks.unwrap(told.body.decode(), told.headers)
        assert (type(read), read.type, read.data.id) == (type_, event, "job_1")


async def test_what_is_rolled_back_is_told_to_nobody(rig: WebhookRig) -> None:
    async with receiver() as at:
        ada = await rig.account()
        await rig.webhook(ada, at.url)
        told = rig.delivery_tasks.statements(ada, READY, {"id": "bind_1"}, await rig.store.now())
        with pytest.raises(Exception, match="no_such_table"):
            await rig.store.write(*told, Statement("INSERT INTO no_such_table (id) VALUES ('x')"))
        await rig.step()
        assert at.told == []
        await rig.store.write(*told)
        await rig.store.write(*told)
        await rig.step()
        assert len(at.told) == 1, "written again after a doubt, it is the same event"


async def test_only_those_who_want_it_are_told(rig: WebhookRig) -> None:
    async with receiver() as at, receiver() as second, receiver() as others:
        ada, bob = await rig.account(), await rig.account("bob")
        await rig.webhook(ada, at.url)
        await rig.webhook(ada, second.url, ("voice.clone.ready", "webhook.test"))
        await rig.webhook(ada, others.url, ("voice.clone.failed",))
        await rig.webhook(bob, others.url)
        off = await rig.webhook(ada, others.url)
        await rig.webhooks.change(ada, off.id, WebhookChange(is_on=False))
        await rig.tell(ada)
        await rig.step()
        assert [len(each.told) for each in (at, second, others)] == [1, 1, 0]
        assert at.told[0].headers["webhook-id"] == second.told[0].headers["webhook-id"]


async def test_where_webhooks_are_off_nothing_is_noted_or_sent(rig: WebhookRig) -> None:
    async with receiver() as at:
        ada, webhook = await rig.listening(at.url)
        await rig.tell(ada)
        rig.delivery_tasks.section = WebhookSection(on=False, allow=ON.allow)
        await rig.tell(ada)
        await rig.later()
        assert (at.told, len(await rig.deliveries(webhook))) == ([], 1)


async def test_a_failed_try_is_made_again_with_the_same_id_and_body(rig: WebhookRig) -> None:
    async with receiver(status(503), status(302), status(200)) as at:
        _ada, webhook = await rig.told(at.url)
        (row,) = await rig.deliveries(webhook)
        assert (row.state, row.status, row.tries, row.error) == (
            "waiting",
            503,
            1,
            "It answered with HTTP 503.",
        )
        assert (await rig.row(webhook)).failing_since is not None
        await rig.step()
        assert len(at.told) == 1, "it waits"
        await rig.later()
        await rig.later()
        (row,) = await rig.deliveries(webhook)
        assert (row.state, row.status, row.tries) == ("delivered", 200, 3)
        assert len({(told.headers["webhook-id"], told.body) for told in at.told}) == 1
        assert all(signed_by(told, webhook.seal.secret) for told in at.told)
        assert (await rig.row(webhook)).failing_since is None
        assert (rig.ended("again"), rig.ended("delivered")) == (2, 1)


async def test_after_a_day_a_delivery_has_failed_and_is_sent_again_by_hand(rig: WebhookRig) -> None:
    async with receiver(*[status(500)] * 3, status(200)) as at:
        ada, webhook = await rig.told(at.url)
        await rig.later(0.9)
        assert [row.state for row in await rig.deliveries(webhook)] == ["waiting"]
        await rig.later(0.2)
        (row,) = await rig.deliveries(webhook)
        assert (row.state, row.tries, row.error) == ("failed", 3, "It answered with HTTP 500.")
        assert not (await rig.row(webhook)).off_reason, "it failed for one day"
        await rig.later(1)
        assert len(at.told) == 3
        await rig.webhooks.resend(await rig.webhooks.find_delivery(ada, row.id))
        await rig.step()
        assert [each.state for each in await rig.deliveries(webhook)] == ["delivered"]
        assert len({told.headers["webhook-id"] for told in at.told}) == 1


async def test_deliveries_that_ended_are_kept_a_week(rig: WebhookRig) -> None:
    async with receiver() as at:
        ada, webhook = await rig.told(at.url)
        await rig.shift(6.9)
        await rig.delivery_tasks.tidy()
        assert len(await rig.deliveries(webhook)) == 1
        await rig.shift(0.2)
        await rig.tell(ada)
        await rig.delivery_tasks.tidy()
        assert [row.state for row in await rig.deliveries(webhook)] == ["waiting"]


async def test_a_webhook_at_which_nothing_arrives_for_days_is_turned_off(rig: WebhookRig) -> None:
    async with receiver(status(500)) as at:
        ada, webhook = await rig.listening(at.url)
        for _ in range(2):
            await rig.tell(ada)
            await rig.step()
            await rig.later(1.5)
        row = await rig.row(webhook)
        assert row.off_reason == couriers.FAILED
        await rig.tell(ada)
        assert len(await rig.deliveries(webhook)) == 2, "nothing more is noted"
        await rig.webhooks.change(ada, webhook.id, WebhookChange(is_on=True))
        at.answers = [status(200)]
        await rig.tell(ada)
        await rig.step()
        assert (await rig.row(webhook)).failing_since is None


async def test_a_receiver_that_is_gone_is_told_nothing_more(rig: WebhookRig) -> None:
    async with receiver(status(410)) as at:
        ada, webhook = await rig.listening(at.url)
        for _ in range(3):
            await rig.tell(ada)
        await rig.step()
        await rig.step()
        assert (await rig.row(webhook)).off_reason == couriers.GONE
        ended = await rig.deliveries(webhook)
        assert {row.state for row in ended} == {"failed"}
        assert len(at.told) in (1, 2), "no more than were under way together"
        assert couriers.OFF in {row.error for row in ended}


async def test_a_rotated_secret_signs_alone_or_beside_the_old_one_for_a_day(rig: WebhookRig) -> None:
    async with receiver() as at:
        ada, webhook = await rig.listening(at.url)
        first = webhook.seal.secret
        second = (
            await rig.webhooks.change(
                ada, webhook.id, WebhookChange(rotates_secret=True, keeps_old_secret=True)
            )
        ).seal.secret
        await rig.tell(ada)
        await rig.step()
        assert signed_by(at.told[-1], first)
        assert signed_by(at.told[-1], second)
        for secret in (first, second):
            OpenAI(api_key="none").webhooks.verify_signature(
                at.told[-1].body, at.told[-1].headers, secret=secret
            )
        seal = (await rig.webhooks.find_webhook(ada, webhook.id)).seal
        assert seal.secrets(seal.older_until) == (second,)
        third = (await rig.webhooks.change(ada, webhook.id, WebhookChange(rotates_secret=True))).seal.secret
        await rig.tell(ada)
        await rig.step()
        assert [signed_by(at.told[-1], secret) for secret in (first, second, third)] == [False, False, True]


async def test_a_receiver_that_hangs_holds_up_nobody_else(rig: WebhookRig) -> None:
    async with receiver(None) as hangs, receiver() as at:
        bad, good = await rig.account(), await rig.account("bob")
        webhook = await rig.webhook(bad, hangs.url)
        for _ in range(100):
            await rig.tell(bad)
        await rig.delivery_tasks.look()
        await soon(lambda: len(hangs.told) >= couriers._MOST_OF_WEBHOOK)
        await rig.webhook(good, at.url)
        other = await rig.webhook(bad, at.url, ("webhook.test",))
        await rig.tell(good)
        await rig.tell(bad, "webhook.test")
        # It comes last of what is due.
        await rig.store.write(Statement("UPDATE webhook_deliveries SET due = 1 WHERE type = 'webhook.test'"))
        begun = await rig.delivery_tasks.look()
        assert {task.webhook for task in begun} >= {other.id}
        await soon(lambda: len(at.told) >= 2)
        assert hangs.connections == couriers._MOST_OF_WEBHOOK
        assert {row.state for row in await rig.deliveries(webhook)} == {"waiting"}
        await hangs.close()
        await rig.delivery_tasks.finish()


async def test_an_account_and_a_host_have_so_many_places(rig: WebhookRig) -> None:
    async with receiver(None) as hangs:
        names = [await rig.account(f"account {number}") for number in range(4)]
        for account in names:
            for _ in range(3):
                await rig.webhook(account, hangs.url)
            await rig.tell(account)
        begun = await rig.delivery_tasks.look()
        assert len(begun) == couriers._MOST_OF_HOST
        assert (
            max([task.account for task in begun].count(name) for name in names) <= couriers._MOST_OF_ACCOUNT
        )
        await soon(lambda: len(hangs.told) >= couriers._MOST_OF_HOST)
        assert await rig.delivery_tasks.look() == []
        # More accounts wait for this host than are listed, and no place of their own is full.
        rig.delivery_tasks.most_at_once = couriers._MOST_OF_HOST + 1
        for number in range(2 * rig.delivery_tasks.most_at_once):
            await rig.webhook(account := await rig.account(f"waiting {number}"), hangs.url)
            await rig.tell(account)
        rig.delivery_tasks.section = WebhookSection(on=True, allow=("127.0.0.1", "localhost"))
        await rig.webhook(other := await rig.account(), hangs.url.replace("127.0.0.1", "localhost"))
        await rig.tell(other)
        await rig.store.write(Statement("UPDATE webhook_deliveries SET due = 1 WHERE host = 'localhost'"))
        assert [task.account for task in await rig.delivery_tasks.look()] == [other]
        await hangs.close()
        await rig.delivery_tasks.finish()


async def test_a_deleted_webhook_and_a_closed_account_are_told_nothing(rig: WebhookRig) -> None:
    async with receiver() as at:
        ada, bob = await rig.account(), await rig.account("bob")
        first, second = await rig.webhook(ada, at.url), await rig.webhook(bob, at.url)
        await rig.tell(ada)
        await rig.tell(bob)
        await rig.webhooks.delete(first.id)
        await accounts.close(rig.store, bob)
        await rig.tell(ada)
        await rig.tell(bob)
        await rig.step()
        assert at.told == []
        assert await rig.deliveries(first) == await rig.deliveries(second) == []
        assert await records.get(rig.store, None, second.id) is None


async def test_what_is_deleted_while_it_is_sent_leaves_nothing(rig: WebhookRig) -> None:
    async with receiver(None) as hangs:
        ada, webhook = await rig.listening(hangs.url)
        await rig.tell(ada)
        await rig.delivery_tasks.look()
        await soon(lambda: len(hangs.told) >= 1)
        await rig.webhooks.delete(webhook.id)
        await hangs.close()
        await rig.delivery_tasks.finish()
        assert await rig.deliveries(webhook) == []


async def test_secrets_and_urls_are_sealed_and_the_master_key_knows_them(rig: WebhookRig) -> None:
    async with receiver() as at:
        ada, webhook = await rig.listening(at.url)
        (row,) = await rig.store.read("SELECT * FROM webhooks")
        assert "hush" not in repr(dict(row))
        assert webhook.seal.secret not in repr(dict(row))
        assert sum(use.rows for use in await list_masters(rig.store)) == 1
        assert "hush" not in f"{webhook!r} {webhook.seal!r} {webhook.record!r}"
        await rig.store.write(Statement("UPDATE webhooks SET sealed = 'AAAA'"))
        with pytest.raises(VaultFailed):
            await rig.webhooks.find_webhook(ada, webhook.id)
        assert rig.webhooks.open_listed(await rig.row(webhook)).seal.url == ""
        await rig.tell(ada)
        await rig.step()
        assert at.told == []
        (delivery,) = await rig.deliveries(webhook)
        assert (delivery.state, delivery.tries) == ("waiting", 1)


async def test_what_an_operator_allows_no_more_is_reached_no_more(rig: WebhookRig) -> None:
    async with receiver() as at:
        ada = await rig.account()
        rig.delivery_tasks.section = WebhookSection(on=True, accounts={"ada": ("127.0.0.1",), "x": ("a.b",)})
        webhook = await rig.webhook(ada, at.url)
        await rig.tell(ada)
        await rig.step()
        rig.delivery_tasks.section = WebhookSection(on=True, accounts={"bob": ("127.0.0.1",)})
        await rig.tell(ada)
        await rig.step()
        assert (len(at.told), at.connections) == (1, 1)
        assert {row.error for row in await rig.deliveries(webhook)} == {
            "",
            "Nothing is sent to its URL: it must begin with https://.",
        }


async def test_what_waits_goes_to_the_new_url(rig: WebhookRig) -> None:
    async with receiver(status(500)) as old, receiver() as new:
        rig.delivery_tasks.section = WebhookSection(on=True, allow=("127.0.0.1", "localhost"))
        ada, webhook = await rig.told(old.url)
        url = new.url.replace("127.0.0.1", "localhost")
        await rig.webhooks.change(ada, webhook.id, WebhookChange(url=url))
        assert (await rig.row(webhook)).host == "localhost"
        assert [row.host for row in await rig.deliveries(webhook)] == ["localhost"]
        await rig.later()
        assert (len(old.told), len(new.told)) == (1, 1)


async def test_changes_at_once_do_not_undo_one_another(rig: WebhookRig) -> None:
    ada, webhook = await rig.listening("https://hooks.example.org/")
    changes = (WebhookChange(name="new"), WebhookChange(events=("webhook.test",)), WebhookChange(is_on=False))
    await asyncio.gather(*(rig.webhooks.change(ada, webhook.id, change) for change in changes))
    found = await rig.webhooks.find_webhook(ada, webhook.id)
    assert (found.seal.name, found.record.events) == ("new", ("webhook.test",))
    assert found.record.off_reason == records.TURNED_OFF_BY_OWNER
    assert found.seal.secret == webhook.seal.secret
