"""A server at which people sign in by mail and buy: its SMTP server and its provider run beside the test."""

import asyncio
import re
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from fakes.mercadopago.app import SECRET, SELLER, TOKEN, FakeMercadoPago
from fakes.serving import served
from proxy.access.sessions import FRESH_US
from proxy.storage.sqlite_backup import DATABASE
from tests.features.console.console_page import Reader
from tests.features.mail.receiver import Receiver, receiver
from tests.server import ALONE, VOXGATE, Server, free_port, running
from tests.waiting import until

T = TypeVar("T")
_START_S = 10.0
TERMS = "https://voxgate.test/terms?a=1&b=2"
_ENGINE = "[engines.tone]\nbudget_usd_day = 5"
_SERVER = '[server]\npublic_url = "{url}"'
CONFIG = f"""{ALONE.replace("[server]", _SERVER, 1).replace("[engines.tone]", _ENGINE, 1)}
[engines.tone.costs]
"*" = {{ usd = 0.01, per = "character" }}
[alerts]
mail = ["ops@example.org"]
[plans.free]
allowance = 10
[plans.creator]
price = "R$ 49"
allowance = 1000
keys = 5
prices.speech = {{ credits = 1, per = "second" }}
[users]
sign_up = "open"
terms = "{TERMS}"
[mail]
url = "{{mail}}"
from = "Voices <voices@example.org>"
[payments.plans.creator]
amount = "49.00"
currency = "BRL"
providers = ["mercadopago"]
features = ["Own voices", "<b>Markup</b> and {"endless" * 20}"]
[plans.pro]
price = "R$ 99"
allowance = 5000
prices.speech = {{ credits = 1, per = "second" }}
[payments.plans.pro]
amount = "99.00"
currency = "BRL"
providers = ["mercadopago"]
[payments.packs.small]
credits = 500
amount = "29.90"
currency = "BRL"
providers = ["mercadopago"]
[payments.mercadopago]
access_token = "file:token"
webhook_secret = "file:secret"
seller = "{SELLER}"
base_url = "{{provider}}"
"""


class People(NamedTuple):
    """The server, what its mails came to, and the provider where one pays."""

    server: Server
    mails: Receiver
    provider: FakeMercadoPago
    provider_url: str

    def invite(self, address: str, account: str | None = None, *, operator: bool = False) -> str:
        """The link of an invitation."""
        named = {} if account is None else {"account": account}
        return str(self.administer("POST", "users", address=address, operator=operator, **named)["link"])

    def mailed(self, number: int) -> tuple[str, str]:
        """The link and the code of the first mail to sign in from this number on, once it is there."""

        def text_of() -> str:
            # Others are about orders and alerts.
            texts = map(self.mails.text, range(number, len(self.mails.got)))
            return next((text for text in texts if "#sign_in=" in text), "")

        text = until(text_of)
        found = re.search(r"(http://\S+#sign_in=\S+).*: ([A-Z0-9]{8})$", text, re.MULTILINE | re.DOTALL)
        assert found, text
        return found[1], found[2]

    def age(self, account: str) -> None:
        """Let the sessions of an account be too old for what needs a fresh one."""
        with closing(sqlite3.connect(self.server.data / DATABASE, timeout=10)) as store, store:
            store.execute(
                "UPDATE sessions SET created = created - ?"
                " WHERE user_id IN (SELECT id FROM users WHERE account = ?)",
                (FRESH_US, account),
            )
        # A change of the account has the server read them anew.
        self.administer("POST", f"accounts/{account}", plan="free")

    def administer(self, method: str, path: str, **json: object) -> Any:
        """What the server answers its owner."""
        with self.server.control() as control:
            answer = control.request(method, f"/admin/{path}", json=json or None)
        assert answer.is_success, answer.text
        return answer.json()

    def account(self, address: str) -> str:
        """The account of the person with this address."""
        found = [
            each["account"] for each in self.administer("GET", "users")["data"] if each["address"] == address
        ]
        return str(found[0])


@contextmanager
def people_at(folder: Path) -> Iterator[People]:
    """Run all three."""
    provider = FakeMercadoPago()
    port = free_port()
    (folder / "token").write_text(TOKEN)
    (folder / "secret").write_text(SECRET)
    with ExitStack() as stack:
        loop = stack.enter_context(_loop())
        mails = stack.enter_context(_inside(loop, receiver()))
        at = stack.enter_context(_inside(loop, served(provider.provider)))
        text = CONFIG.replace("{mail}", mails.url).replace("{provider}", at.url)
        text = text.replace("{url}", f"http://127.0.0.1:{port}")
        command = (str(VOXGATE), "serve", "--port", str(port))
        server = stack.enter_context(running(folder, text, command=command))
        yield People(server, mails, provider, at.url)


@contextmanager
def _loop() -> Iterator[asyncio.AbstractEventLoop]:
    """An event loop in a thread, while tests without one drive a browser."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield loop
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@contextmanager
def _inside(loop: asyncio.AbstractEventLoop, what: AbstractAsyncContextManager[T]) -> Iterator[T]:
    entered = asyncio.run_coroutine_threadsafe(what.__aenter__(), loop).result(_START_S)
    try:
        yield entered
    finally:
        asyncio.run_coroutine_threadsafe(what.__aexit__(None, None, None), loop).result(_START_S)


def sign_in(visitor: Reader, link: str) -> None:
    """Open a link of a mail and press its button."""
    visitor.tab.open(link)
    visitor.wait("at('#door-spend')")
    visitor.press("Sign in", "at('#door-card')")
    visitor.reads("You are signed in as", "#door")
