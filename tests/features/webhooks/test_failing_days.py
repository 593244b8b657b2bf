"""Days on which nothing arrives at a webhook: what counts towards turning it off, and what begins anew."""

import asyncio

import pytest

from proxy.errors import Conflict
from proxy.features.webhooks import delivery_tasks as couriers
from proxy.features.webhooks.webhook_store import WebhookChange
from proxy.storage.store import Statement
from tests.features.webhooks.receiver import receiver, status
from tests.features.webhooks.rig import READY, WebhookRig, webhook_rig
from tests.fixtures import opened
from tests.waiting import soon

rig = opened(webhook_rig, "store", "tmp_path")


async def test_a_delivery_that_is_sent_again_by_hand_is_tried_for_a_day(rig: WebhookRig) -> None:
    async with receiver(status(500)) as at:
        _ada, webhook = await rig.told(at.url)
        await rig.later(1.5)
        (row,) = await rig.deliveries(webhook)
        assert row.state == "failed"
        await rig.webhooks.resend(row)
        await rig.step()
        await rig.later(0.9)
        (row,) = await rig.deliveries(webhook)
        assert (row.state, row.tries) == ("waiting", 2)
        at.answers = [status(200)]
        await rig.later()
        assert [each.state for each in await rig.deliveries(webhook)] == ["delivered"]


async def test_a_delivery_whose_try_is_under_way_is_not_sent_again(rig: WebhookRig) -> None:
    async with receiver(None) as hangs:
        _ada, webhook = await rig.listening(hangs.url)
        testing = asyncio.create_task(rig.webhooks.test(webhook.record, READY))
        await soon(lambda: len(hangs.told) >= 1)
        (row,) = await rig.deliveries(webhook)
        # Its row may have ended in another worker, whose lease is not given back yet.
        await rig.store.write(Statement("UPDATE webhook_deliveries SET state = 'failed'"))
        with pytest.raises(Conflict):
            await rig.webhooks.resend(row)
        await hangs.close()
        await testing
        assert len(hangs.told) == 1


async def test_tests_count_no_failing_days_and_turn_nothing_off(rig: WebhookRig) -> None:
    async with receiver(status(500)) as at:
        ada, webhook = await rig.listening(at.url)
        assert (await rig.webhooks.test(webhook.record, READY)).state == "failed"
        assert (await rig.row(webhook)).failing_since is None
        await rig.tell(ada)
        await rig.step()
        await rig.shift(4)
        assert (await rig.webhooks.test(await rig.row(webhook), READY)).state == "failed"
        assert (await rig.row(webhook)).off_reason == ""


@pytest.mark.parametrize(
    "change", [WebhookChange(is_on=True), WebhookChange(url="http://127.0.0.1:{port}/new")], ids=["on", "url"]
)
async def test_a_webhook_that_is_mended_has_three_days_anew(rig: WebhookRig, change: WebhookChange) -> None:
    async with receiver(status(500)) as at:
        ada, webhook = await rig.told(at.url)
        if change.is_on:
            await rig.webhooks.change(ada, webhook.id, WebhookChange(is_on=False))
        url = change.url.format(port=at.port) if change.url else None
        await rig.webhooks.change(ada, webhook.id, change._replace(url=url))
        assert (await rig.row(webhook)).failing_since is None
        await rig.shift(4)
        await rig.tell(ada)
        await rig.step()
        row = await rig.row(webhook)
        assert (row.off_reason, row.failing_since is None) == ("", False)


async def test_each_change_has_a_moment_of_its_own(rig: WebhookRig) -> None:
    ada, webhook = await rig.listening("https://hooks.example.org/")
    later = 2**60
    await rig.store.write(Statement("UPDATE webhooks SET changed = :later", {"later": later}))
    moments = [
        (await rig.webhooks.change(ada, webhook.id, WebhookChange(name=name))).record.changed for name in "ab"
    ]
    assert moments == [later + 1, later + 2]


async def test_however_many_old_deliveries_there_are_all_go(
    rig: WebhookRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(couriers, "_BATCH", 2)
    async with receiver() as at:
        ada, webhook = await rig.listening(at.url)
        for _ in range(5):
            await rig.tell(ada)
            await rig.step()
        await rig.shift(8)
        await rig.delivery_tasks.tidy()
        assert await rig.deliveries(webhook) == []
