"""What strangers of a thousand networks ask costs the server little, and honest clients do not wait for it.

Each endpoint that needs no key is asked, and others with invented keys and cookies. Meanwhile there is one
honest client of each kind: a key and a session that the worker does not know yet, a signed webhook, and an
address that has a user.
"""

import asyncio
import hmac
import json
import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from fakes.stripe.app import SECRET
from proxy.storage import api_key, key_records
from proxy.storage.key_records import NewKeyRecord
from tests.features.mail.receiver import Receiver, receiver
from tests.features.users.people import user_of
from tests.proxy.http.every_endpoint import Everything, Operation, everything_served
from tests.waiting import soon

OWN_PAGE = {"sec-fetch-site": "same-origin", "sec-fetch-dest": "empty"}
MOST_MAILS = 45
"""Of strangers in a minute: three quarters of those that are sent to sign in."""
AT_ONCE = 100

Headers = Callable[[int], dict[str, str]]


class Strangers(NamedTuple):
    """A request of strangers. Those of one network differ from those of another one."""

    name: str
    operation: Operation
    headers: Headers = lambda _number: {}
    body: Callable[[int], Any] | None = None


def knock_keys(_number: int) -> dict[str, str]:
    return {"authorization": f"Bearer {api_key.mint().reveal()}"}


def knock_cookies(_number: int) -> dict[str, str]:
    return {"cookie": f"__Host-voxgate={secrets.token_urlsafe(32)}", **OWN_PAGE}


def strangers_of(served: Everything) -> Iterator[Strangers]:
    by_id = {each.id: each for each in served.operations}
    yield Strangers("wrong keys", by_id["get_me"], knock_keys)
    yield Strangers("invented cookies", by_id["list_own_sessions"], knock_cookies)
    yield Strangers("invented cookies where none is needed", by_id["list_offers"], knock_cookies)
    for operation in served.operations:
        if operation.access != "open":
            continue
        if operation.id == "confirm_sign_in":
            yield Strangers("confirm by code", operation, body=lambda _number: {"code": "ABCDEFGH"})
        own = (
            (lambda number: {"address": f"s{number}@example.net"}) if operation.id == "ask_sign_in" else None
        )
        yield Strangers(operation.id, operation, body=own)


class Rig:
    """Counts what reaches the database, and calls the worker without a client library, which costs more."""

    def __init__(self, served: Everything, mails: Receiver) -> None:
        self.served, self.mails = served, mails
        self.reads = self.writes = 0
        self._honest = 0

    @contextmanager
    def counted(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        store = self.served.shop.server.worker.store
        read, write = store.read, store.write

        async def noted_read(*args: Any) -> Any:
            self.reads += 1
            return await read(*args)

        async def noted_write(*args: Any) -> Any:
            self.writes += 1
            return await write(*args)

        with monkeypatch.context() as patches:
            patches.setattr(store, "read", noted_read)
            patches.setattr(store, "write", noted_write)
            yield

    async def call(
        self, method: str, path: str, body: Any, network: str, headers: dict[str, str]
    ) -> tuple[int, dict[str, str]]:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        path, _, query = path.partition("?")
        answer: dict[str, Any] = {}

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": raw, "more_body": False}

        async def send(message: Any) -> None:
            answer.update(message)

        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "headers": [(b"host", b"voxgate.test")]
            + [(name.encode(), value.encode()) for name, value in headers.items()],
            "client": (network, 4000),
        }
        await self.served.shop.server.worker.public(scope, receive, send)
        return answer["status"], {name.decode(): value.decode() for name, value in answer["headers"]}

    async def flood(self, strangers: Strangers, networks: int) -> Counter[int]:
        """One request of each network, a /48 of its own."""
        sent = strangers.operation.request(self.served.document, self.served.objects)
        places, statuses = asyncio.Semaphore(AT_ONCE), Counter[int]()

        async def one(number: int) -> None:
            body = strangers.body(number) if strangers.body else sent.more.get("json")
            path = sent.path.replace("sin_0", f"sin_{number:024x}")
            async with places:
                status, headers = await self.call(
                    sent.method, path, body, f"2001:db8:{number:x}::1", strangers.headers(number)
                )
            statuses[status] += 1
            assert status not in (429, 503) or "retry-after" in headers

        await asyncio.gather(*(one(number) for number in range(networks)))
        return statuses

    async def honest(self) -> dict[str, int]:
        """The answers that honest clients get, each of which is new to the worker."""
        self._honest += 1
        server, network = self.served.shop.server, f"192.0.{self._honest % 256}.1"
        key = api_key.mint()
        await key_records.create(server.worker.store, key, NewKeyRecord(account=server.account.id))
        user = await user_of(server, server.account, f"user{self._honest}@example.org")
        bearer = {"authorization": f"Bearer {key.reveal()}"}
        cookie = {"cookie": f"__Host-voxgate={user.cookie}", **OWN_PAGE}
        event = b'{"id": "evt_1", "type": "other", "data": {"object": {"id": "x", "object": "x"}}}'
        moment = int(time.time())
        signature = hmac.digest(SECRET.encode(), f"{moment}.".encode() + event, "sha256").hex()
        signed = {"stripe-signature": f"t={moment},v1={signature}"}
        calls = {
            "key": self.call("GET", "/v1/me", None, network, bearer),
            "session": self.call("GET", "/v1/me", None, network, cookie),
            # The provider's webhooks may come from the network of strangers.
            "webhook": self.call("POST", "/webhooks/stripe", event, "2001:db8:1::1", signed),
            "address": self.call("POST", "/v1/sign-ins", {"address": user.address}, network, {}),
        }
        answers = await asyncio.gather(*calls.values())
        before = sum("example.net" in to for to in self.mails.to)
        await soon(lambda: user.address in self.mails.to)
        after = sum("example.net" in to for to in self.mails.to)
        # Four are on their way at once.
        assert after - before <= 8, "a mail to a user is the next one"
        return {name: status for name, (status, _) in zip(calls, answers, strict=True)}


GOOD = {"key": 200, "session": 200, "webhook": 200, "address": 202}


async def check(rig: Rig, strangers: Strangers, networks: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rig.reads = rig.writes = 0
    with rig.counted(monkeypatch):
        flood = asyncio.create_task(rig.flood(strangers, networks))
        await asyncio.sleep(0)
        assert await rig.honest() == GOOD, strangers.name
        statuses = await flood
    assert 500 not in statuses, (strangers.name, statuses)
    # Honest clients, and tasks of the worker, read some dozens of times as well.
    assert rig.reads <= networks // 4 + 45, (strangers.name, rig.reads)
    if strangers.operation.id != "ask_sign_in":
        assert rig.writes <= 45, (strangers.name, rig.writes)


@pytest.mark.parametrize("networks", [60, pytest.param(1000, marks=pytest.mark.slow)])
async def test_strangers_of_many_networks_delay_nobody(
    tmp_path: Path, networks: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with receiver() as mails, everything_served(tmp_path, mails.url) as served:
        rig, began = Rig(served, mails), time.monotonic()
        found = [*strangers_of(served)]
        if networks < 1000:
            found = [each for each in found if each.name in ("wrong keys", "ask_sign_in", "is_ready")]
        for strangers in found:
            await check(rig, strangers, networks, monkeypatch)
        minutes = 1 + int((time.monotonic() - began) // 60)
        assert sum("example.net" in to for to in mails.to) <= minutes * MOST_MAILS
