"""A worker that sells at both providers' fakes, and people who have signed in to it."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import httpx2

from fakes.mercadopago.app import SECRET as MP_SECRET
from fakes.mercadopago.app import SELLER, TOKEN, FakeMercadoPago
from fakes.payments import Webhook
from fakes.serving import served
from fakes.stripe.app import KEY, FakeStripe
from fakes.stripe.app import SECRET as STRIPE_SECRET
from proxy.access.sessions import COOKIE
from proxy.features.payments.records import PaymentRecord, payments_of
from proxy.queue.tasks import TaskKind
from proxy.storage import entries
from proxy.storage.store import Statement
from tests.features.users.people import PEOPLE, person, user_of
from tests.proxy.api.inside import TONE, Inside, inside
from tests.replies import json_of
from tests.waiting import soon

PUBLIC_URL = "https://voxgate.example.org"
SECRETS = {"mp_key": TOKEN, "mp_secret": MP_SECRET, "s_key": KEY, "s_secret": STRIPE_SECRET}
SOLD = """
[plans.creator]
price = "R$ 49"
allowance = 1000
[plans.free]
allowance = 10
[payments]
lapsed_plan = "free"
[payments.plans.creator]
amount = "49.00"
currency = "BRL"
providers = ["mercadopago", "stripe"]
features = ["Own voices"]
[payments.packs.small]
credits = 500
amount = "29.90"
currency = "BRL"
providers = ["mercadopago", "stripe"]
"""
PROVIDERS = f"""
[payments.mercadopago]
access_token = "file:mp_key"
webhook_secret = "file:mp_secret"
seller = "{SELLER}"
base_url = "{{mercadopago}}"
[payments.stripe]
secret_key = "file:s_key"
webhook_secret = "file:s_secret"
base_url = "{{stripe}}"
"""


class Shop(NamedTuple):
    """`cookie` is the session of the server's account."""

    server: Inside
    mercadopago: FakeMercadoPago
    stripe: FakeStripe
    cookie: str

    def fake(self, provider: str) -> Any:
        return self.mercadopago if provider == "mercadopago" else self.stripe

    async def ask(
        self, method: str, path: str, body: Any = None, cookie: str | None = None, **headers: str
    ) -> httpx2.Response:
        cookies = f"{COOKIE}={self.cookie if cookie is None else cookie}"
        sent = {"cookie": cookies, "sec-fetch-site": "same-origin", "sec-fetch-dest": "empty", **headers}
        return await self.server.ask(method, path, key="", body=body, **sent)

    async def order(self, provider: str = "mercadopago", **wanted: str) -> dict[str, Any]:
        body = {"provider": provider, **(wanted or {"pack": "small"})}
        made: dict[str, Any] = json_of(await self.ask("POST", "/v1/orders", body), 201)
        return made

    def pay(self, order: Mapping[str, Any]) -> Any:
        """Pay as the buyer does at the provider. Return the payment there."""
        account = self.fake(order["provider"]).account
        known = account.preferences if order["provider"] == "mercadopago" else account.sessions
        checkout = next(id_ for id_ in known if id_ in order["url"])
        return account.pay(checkout)

    async def post(self, webhook: Webhook) -> httpx2.Response:
        parts = urlsplit(webhook.url)
        async with self.server.client("") as client:
            path = f"{parts.path}?{parts.query}"
            return await client.post(path, content=webhook.body, headers=dict(webhook.headers))

    async def deliver(self) -> None:
        """Bring all webhooks that wait."""
        for fake in (self.mercadopago, self.stripe):
            for webhook in list(fake.notices.waiting):
                assert (await self.post(webhook)).status_code == 200
                fake.notices.waiting.remove(webhook)

    async def shown(self, order: Mapping[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = json_of(await self.server.administer("GET", f"orders/{order['id']}"))
        return found

    async def in_state(self, order: Mapping[str, Any], state: str) -> dict[str, Any]:
        """Wait until an order is in this state."""

        async def there() -> dict[str, Any] | None:
            found = await self.shown(order)
            return found if found["state"] == state else None

        return await soon(there)

    async def checked(self, order: Mapping[str, Any]) -> dict[str, Any]:
        """Have the provider of an order asked, and wait for the end of that."""
        await self.server.administer("POST", f"orders/{order['id']}/check")
        await self.quiet()
        return await self.shown(order)

    async def quiet(self) -> None:
        """Wait until no task of payments is due."""
        kinds = [
            each
            for each in self.server.worker.task_kinds
            if isinstance(each, TaskKind) and each.name in _KINDS
        ]

        async def nothing_due() -> bool:
            now = await self.server.worker.store.now()
            due = [await kind.table.list_open(self.server.worker.store, now, 9) for kind in kinds]
            busy = [kind for kind in kinds if vars(kind)["_under_way"]]
            for kind in kinds:
                kind.look_now()
            return not any(due) and not any(
                not task.done() for kind in busy for task, _ in vars(kind)["_under_way"].values()
            )

        await soon(nothing_due)

    async def payments(self, order: Mapping[str, Any]) -> list[PaymentRecord]:
        return await payments_of(self.server.worker.store, order["id"])

    async def entries(self, account: str | None = None) -> dict[str, float]:
        """The entries of payments, by their references."""
        rows = await entries.list_of_account(
            self.server.worker.store, account or self.server.account.id, limit=100
        )
        return {row.reference: row.amount / 1e6 for row in rows if row.reference}

    async def person(self, name: str) -> tuple[str, str]:
        """Make another account. Return its id, and the cookie of a person of it."""
        made = await person(self.server, name, "free")
        return made.account.id, made.cookie

    async def run_sql(self, sql: str, **params: Any) -> None:
        await self.server.worker.store.write(Statement(sql, params))


_KINDS = ("orders", "payment events", "paid months")


@asynccontextmanager
async def shop(
    folder: Path,
    more: str = "",
    config: str = SOLD + PROVIDERS,
    secrets: Mapping[str, str] = SECRETS,
    people: str = PEOPLE,
    **options: Any,
) -> AsyncIterator[Shop]:
    for name, secret in secrets.items():
        (folder / name).write_text(secret)
    mercadopago, stripe = FakeMercadoPago(), FakeStripe()
    async with served(mercadopago.provider) as one, served(stripe.provider) as other:
        text = TONE.replace("[server]\n", f'[server]\npublic_url = "{PUBLIC_URL}"\n')
        text += people + config.replace("{mercadopago}", one.url).replace("{stripe}", other.url) + more
        async with inside(folder, text, plan="free", **options) as server:
            owner = await user_of(server, server.account, "owner@example.org")
            yield Shop(server, mercadopago, stripe, owner.cookie)
