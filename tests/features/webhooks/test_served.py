"""/v1/webhook_endpoints by the SDK and by hand, for accounts and operators, and as OpenAPI describes them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from openai import AsyncOpenAI

from proxy.features.webhooks import sender
from proxy.features.webhooks.delivery_tasks import DeliveryTasks
from proxy.features.webhooks.records import Event
from proxy.storage import accounts, api_key, key_records
from proxy.storage.key_records import NewKeyRecord
from tests.features.webhooks.receiver import receiver, status
from tests.proxy.api.inside import TONE, Inside, envelope, inside, inside_fixture
from tests.proxy.http.described import Document, faults, operation
from tests.tables import each_row
from tests.waiting import soon

ON = f'{TONE}[webhooks]\non = true\nallow = ["127.0.0.1"]\nmost = 3\n'
PATH = "/v1/webhook_endpoints"
READY: Event = "voice.clone.ready"

server = inside_fixture(ON)


@asynccontextmanager
async def sdk(server: Inside) -> AsyncIterator[Any]:
    async with server.client() as http:
        # Our own events are not among the SDK's types, which are checked by no test of ours.
        client: Any = AsyncOpenAI(
            api_key=server.key, base_url="http://voxgate.test/v1", http_client=http, max_retries=0
        )
        yield client.webhooks


def new(url: str = "https://hooks.example.org/x", *events: str) -> dict[str, object]:
    return {"name": "mine", "url": url, "event_types": [*events] or [READY]}


async def tell(server: Inside) -> None:
    """As a feature does it, in a commit of its own."""
    notices, store = server.worker.open_features.context.find(DeliveryTasks), server.worker.store
    told = notices.statements(server.account.id, READY, {"id": "bind_1"}, await store.now())
    await store.write(*told)
    notices.look_now()


async def test_the_sdk_makes_lists_changes_tries_and_deletes_webhooks(server: Inside) -> None:
    async with receiver(status(200), status(503)) as at, sdk(server) as webhooks:
        made = await webhooks.create(name="mine", url=at.url, event_types=[READY, READY])
        assert (made.object, made.event_types, made.url) == ("webhook_endpoint", [READY], at.url)
        assert made.signing_secret.startswith("whsec_")
        assert made.signing_secret_hint not in made.signing_secret
        found = await webhooks.retrieve(made.id)
        assert (found.name, found.created_at, found.updated_at) == (
            "mine",
            made.created_at,
            made.created_at,
        )
        assert not hasattr(found, "signing_secret")
        tried = await webhooks.test(made.id, event_type=READY)
        assert (tried.status_code, tried.event_type, tried.success) == (200, READY, True)
        told = at.told[0]
        event = webhooks.unwrap(told.body, told.headers, secret=made.signing_secret)
        assert event.data.id == made.id
        assert (await webhooks.test(made.id, event_type=READY)).status_code == 503
        rotated = await webhooks.rotate_secret(made.id)
        assert rotated.signing_secret != made.signing_secret
        changed = await webhooks.update(made.id, name="ours")
        assert (changed.name, changed.url) == ("ours", at.url)
        assert [each.id async for each in webhooks.list(limit=1)] == [made.id]
        assert READY in (await webhooks.event_types.list()).data
        gone = await webhooks.delete(made.id)
        assert (gone.id, gone.deleted, gone.object) == (made.id, True, "webhook_endpoint.deleted")


async def test_what_happens_is_told_by_itself_and_listed(server: Inside) -> None:
    async with receiver() as at:
        made = (await server.ask("POST", PATH, body=new(at.url))).json()
        await tell(server)
        await soon(lambda: len(at.told) >= 1)
        (kind,) = [each for each in server.worker.task_kinds if isinstance(each, DeliveryTasks)]
        await kind.finish()
        (row,) = (await server.ask("GET", f"{PATH}/{made['id']}/deliveries")).json()["data"]
        assert (row["state"], row["status_code"], row["tries"], row["error"]) == ("delivered", 200, 1, None)
        assert row["event_id"] == at.told[0].headers["webhook-id"]
        again = await server.ask("POST", f"/v1/webhook_deliveries/{row['id']}/resend")
        assert again.status_code == 200
        await soon(lambda: len(at.told) >= 2)
        assert at.told[0].body == at.told[1].body


@each_row(
    ("body", "param", "code"),
    [
        (new("http://hooks.example.org/"), "url", "invalid_value"),
        (new("https://u:p@hooks.example.org/"), "url", "invalid_value"),
        (new("https://10.0.0.1/"), "url", "invalid_value"),
        (new("https://[::1]/"), "url", "invalid_value"),
        (new("nonsense"), "url", "invalid_value"),
        ({**new(), "url": 5}, "url", "invalid_value"),
        (new("https://hooks.example.org/", "no.such.event"), "event_types", "invalid_value"),
        ({**new(), "event_types": []}, "event_types", "invalid_value"),
        ({"name": "x", "event_types": [READY]}, "url", "missing_required_parameter"),
    ],
)
async def test_a_wrong_field_is_named(server: Inside, body: dict[str, object], param: str, code: str) -> None:
    error = envelope(refused := await server.ask("POST", PATH, body=body))
    assert (refused.status_code, error["param"], error["code"]) == (400, param, code)
    made = (await server.ask("POST", PATH, body=new())).json()
    if len(body) == 3:
        refused = await server.ask("POST", f"{PATH}/{made['id']}", body=body)
        assert (refused.status_code, envelope(refused)["param"]) == (400, param)
        assert (await server.ask("GET", f"{PATH}/{made['id']}")).json()["url"] == new()["url"]
    # An account may have few at a time.
    assert (await server.ask("DELETE", f"{PATH}/{made['id']}")).status_code == 200


async def test_the_proxy_of_providers_is_not_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with receiver() as proxy, receiver() as at:
        address = f"http://127.0.0.1:{proxy.port}"
        for name in ("http_proxy", "https_proxy"):
            monkeypatch.setenv(name, address)
        async with inside(tmp_path, f'{ON}[upstream]\nproxy = "{address}"\n') as server:
            made = (await server.ask("POST", PATH, body=new(at.url))).json()
            tried = await server.ask("POST", f"{PATH}/{made['id']}/test", body={})
            assert (tried.json()["status_code"], len(at.told), proxy.connections) == (200, 1, 0)


async def test_an_account_has_so_many_webhooks(server: Inside) -> None:
    for _ in range(3):
        assert (await server.ask("POST", PATH, body=new())).status_code == 200
    refused = await server.ask("POST", PATH, body=new())
    assert (refused.status_code, envelope(refused)["code"]) == (403, "too_many_webhooks")


async def test_another_account_finds_nothing_of_it(server: Inside) -> None:
    async with receiver(status(500)) as at:
        made = (await server.ask("POST", PATH, body=new(at.url))).json()
        tried = (await server.ask("POST", f"{PATH}/{made['id']}/test", body={})).json()
        assert (tried["status_code"], tried["success"]) == (500, False)
        (row,) = (await server.ask("GET", f"{PATH}/{made['id']}/deliveries")).json()["data"]
    bob = await accounts.create(server.worker.store, name="bob", plan="unlimited")
    secret = api_key.mint()
    await key_records.create(server.worker.store, secret, NewKeyRecord(account=bob.id))
    key = secret.reveal()
    for method, path in (
        *(("GET", ""), ("POST", ""), ("DELETE", "")),
        *(("POST", "/rotate_secret"), ("POST", "/test"), ("GET", "/deliveries")),
    ):
        answer = await server.ask(method, f"{PATH}/{made['id']}{path}", key=key, body={})
        assert (answer.status_code, envelope(answer)["code"]) == (404, "webhook_not_found")
    answer = await server.ask("POST", f"/v1/webhook_deliveries/{row['id']}/resend", key=key)
    assert (answer.status_code, envelope(answer)["code"]) == (404, "delivery_not_found")
    assert (await server.ask("GET", PATH, key=key)).json()["data"] == []


async def test_a_test_that_reaches_nobody_says_so_and_is_not_repeated(server: Inside) -> None:
    async with receiver() as at:
        closed = at.url
    made = (await server.ask("POST", PATH, body=new(closed))).json()
    error = envelope(refused := await server.ask("POST", f"{PATH}/{made['id']}/test", body={}))
    assert (refused.status_code, error["code"]) == (400, "webhook_not_reached")
    assert error["message"] == f"The webhook was not told. {sender.NOT_REACHED_THERE}"
    (row,) = (await server.ask("GET", f"{PATH}/{made['id']}/deliveries")).json()["data"]
    assert (row["state"], row["tries"], row["event_type"]) == ("failed", 1, "webhook.test")


async def test_tests_have_few_places(server: Inside) -> None:
    async with receiver(None) as at:
        made = (await server.ask("POST", PATH, body=new(at.url))).json()
        asking = [
            asyncio.create_task(server.ask("POST", f"{PATH}/{made['id']}/test", body={})) for _ in range(2)
        ]
        await soon(lambda: len(at.told) >= 2)
        refused = await server.ask("POST", f"{PATH}/{made['id']}/test", body={})
        assert (refused.status_code, envelope(refused)["code"]) == (429, "rate_limit_exceeded")
        assert refused.headers["retry-after"] == "2"
        await at.close()
        await asyncio.gather(*asking)


async def test_a_test_and_a_rotation_need_no_body(server: Inside) -> None:
    async with receiver() as at:
        made = (await server.ask("POST", PATH, body=new(at.url))).json()
        async with server.client() as client:
            tried = await client.post(f"{PATH}/{made['id']}/test")
            assert (tried.status_code, tried.json()["event_type"]) == (200, "webhook.test")
            rotated = await client.post(f"{PATH}/{made['id']}/rotate_secret")
            assert rotated.json()["signing_secret"] != made["signing_secret"]
            for path in ("", f"/{made['id']}", f"/{made['id']}/test"):
                body = b"" if path != f"/{made['id']}/test" else b"[]"
                refused = await client.post(PATH + path, content=body)
                assert (refused.status_code, envelope(refused)["code"]) == (400, "invalid_json")


async def test_one_that_is_off_is_turned_on_before_anything_is_sent_again(server: Inside) -> None:
    async with receiver(status(410)) as at:
        made = (await server.ask("POST", PATH, body=new(at.url))).json()
        one = f"{PATH}/{made['id']}"
        await server.ask("POST", f"{one}/test", body={})
        shown = (await server.ask("GET", one)).json()
        assert (shown["is_on"], "410" in shown["off_reason"]) == (False, True)
        (row,) = (await server.ask("GET", f"{one}/deliveries")).json()["data"]
        resend = f"/v1/webhook_deliveries/{row['id']}/resend"
        assert (await server.ask("POST", resend)).status_code == 409
        shown = (await server.ask("POST", one, body={"is_on": True})).json()
        assert (shown["is_on"], shown["off_reason"]) == (True, None)
        at.answers = [status(200)]
        assert (await server.ask("POST", resend)).json()["state"] in ("waiting", "delivered")
        await soon(lambda: len(at.told) >= 2)
        await server.ask("POST", one, body={"is_on": False})
        assert (await server.ask("GET", one)).json()["off_reason"] == "It was turned off."


async def test_an_operators_acts_are_on_record_and_an_accounts_are_not(server: Inside) -> None:
    async with receiver() as at:
        made = (await server.administer("POST", "webhook_endpoints?account=ada", new(at.url))).json()
        one = f"webhook_endpoints/{made['id']}"
        assert made["account"] == server.account.id
        await server.administer("POST", one, {"name": "other"})
        await server.administer("POST", f"{one}/rotate_secret", {"keep_old_secret_active_for_24_hours": True})
        await server.administer("POST", f"{one}/test", {})
        (row,) = (await server.administer("GET", f"{one}/deliveries")).json()["data"]
        await server.administer("POST", f"webhook_deliveries/{row['id']}/resend")
        await server.ask("POST", f"/v1/{one}", body={"name": "mine"})
        await server.administer("DELETE", one)
        acts = (await server.administer("GET", "audit?account=ada")).json()["data"]
        actions = [act["action"] for act in acts if act["action"].startswith("webhook")]
        assert actions == [
            f"webhook.{verb}" for verb in ("deleted", "resent", "tested", "rotated", "changed", "created")
        ]
        assert "hush" not in str(acts)
        refused = await server.administer("POST", "webhook_endpoints", new())
        assert envelope(refused)["param"] == "account"
        await accounts.close(server.worker.store, server.account.id)
        refused = await server.administer("POST", "webhook_endpoints?account=ada", new())
        assert refused.status_code == 409


async def test_as_shipped_they_are_made_for_public_addresses_alone(tmp_path: Path) -> None:
    async with inside(tmp_path) as server:
        for number in range(10):
            made = await server.ask("POST", PATH, body=new(url=f"https://hooks.example.org/{number}"))
            assert made.status_code == 200, made.text
        eleventh = await server.ask("POST", PATH, body=new(url="https://hooks.example.org/"))
        assert envelope(eleventh)["code"] == "too_many_webhooks"
        refused = await server.ask("POST", PATH, body=new(url="https://192.88.99.1/"))
        assert envelope(refused)["param"] == "url"


async def test_where_they_are_off_none_is_made_but_all_are_listed_and_deleted(tmp_path: Path) -> None:
    async with inside(tmp_path, ON) as server:
        made = (await server.ask("POST", PATH, body=new())).json()
        server.worker.revise(server.worker.kernel.config)  # the same: it stays on
        assert (await server.ask("POST", PATH, body=new())).status_code == 200
    off = f"{TONE}[webhooks]\non = false\n"
    async with inside(tmp_path, off, name="bob") as server:
        secret = api_key.mint()
        await key_records.create(server.worker.store, secret, NewKeyRecord(account=made["account"]))
        key = secret.reveal()
        refused = await server.ask("POST", PATH, body=new(), key=key)
        assert (refused.status_code, envelope(refused)["code"]) == (403, "webhooks_off")
        refused = await server.ask("POST", f"{PATH}/{made['id']}/test", body={}, key=key)
        assert envelope(refused)["code"] == "webhooks_off"
        assert len((await server.ask("GET", PATH, key=key)).json()["data"]) == 2
        assert (await server.ask("DELETE", f"{PATH}/{made['id']}", key=key)).json()["deleted"]


async def test_answers_are_as_described(server: Inside) -> None:
    document: Document = (await server.ask("GET", "/openapi.json", key=server.admin_key)).json()

    def described(name: str, answer: httpx2.Response) -> Any:
        assert answer.status_code == 200, answer.text
        assert faults(document, operation(document, name), answer) == []
        return answer.json()

    async with receiver(status(500)) as at:
        made = described("create_webhook_endpoint", await server.ask("POST", PATH, body=new(at.url)))
        one = f"{PATH}/{made['id']}"
        described("list_webhook_endpoints", await server.ask("GET", PATH))
        described("get_webhook_endpoint", await server.ask("GET", one))
        described("update_webhook_endpoint", await server.ask("POST", one, body={"event_types": [READY]}))
        described("rotate_webhook_secret", await server.ask("POST", f"{one}/rotate_secret", body={}))
        described("test_webhook_endpoint", await server.ask("POST", f"{one}/test", body={}))
        listed = described("list_webhook_deliveries", await server.ask("GET", f"{one}/deliveries"))
        resend = f"/v1/webhook_deliveries/{listed['data'][0]['id']}/resend"
        described("resend_webhook_delivery", await server.ask("POST", resend))
        await soon(lambda: len(at.told) >= 2)
        described("delete_webhook_endpoint", await server.ask("DELETE", one))
