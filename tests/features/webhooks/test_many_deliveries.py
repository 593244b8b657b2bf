"""A webhook with very many deliveries is changed and deleted by commits of a few hundred rows."""

from msgspec.structs import replace
from structlog.testing import capture_logs

from proxy.features.webhooks import records
from proxy.features.webhooks.records import WebhookRecord
from proxy.storage import accounts
from proxy.storage.store import Statement, Store

MANY = 1200
_FILL = f"""
INSERT INTO webhook_deliveries (id, event, account, webhook, host, type, data, created, began, state)
WITH RECURSIVE numbers (x) AS (SELECT CAST(1 AS BIGINT) UNION ALL SELECT x + 1 FROM numbers WHERE x < {MANY})
SELECT 'dlv_' || x, 'evt', account, id, host, 'webhook.test', '', x, 0, 'waiting' FROM webhooks, numbers
"""


async def hosts(store: Store) -> dict[str, int]:
    rows = await store.read("SELECT host, count(*) AS n FROM webhook_deliveries GROUP BY host")
    return {row["host"]: row["n"] for row in rows}


async def test_many_deliveries_are_moved_and_deleted_part_by_part(store: Store) -> None:
    account = (await accounts.create(store, name="ada", plan="free")).id
    first, other = (
        WebhookRecord(
            id=f"hook_{host}",
            account=account,
            host=host,
            events=(),
            created=1,
            changed=1,
            wrapped="",
            sealed=host,
        )
        for host in ("one", "two")
    )
    assert await records.add_webhook(store, first, 9)
    await store.write(Statement(_FILL))
    with capture_logs() as logs:
        assert await records.replace_webhook(store, first, replace(first, host="new", changed=2))
        assert await hosts(store) == {"new": MANY}
        assert not await records.replace_webhook(store, first, replace(first, host="late"))
        assert await hosts(store) == {"new": MANY}
        assert await records.delete_webhook(store, first.id)
        assert not await records.delete_webhook(store, other.id)
    assert await hosts(store) == {}
    assert [log for log in logs if log["event"] == "commit.held" and log["rows"] > 500] == []
