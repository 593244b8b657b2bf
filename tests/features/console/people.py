"""A server at which people sign in by mail and buy: its SMTP server and its provider run beside the test."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple, TypeVar

from fakes.mercadopago.app import SECRET, SELLER, TOKEN, FakeMercadoPago
from fakes.serving import served
from tests.features.mail.receiver import Receiver, receiver
from tests.replies import json_of
from tests.server import ALONE, VOXGATE, MintedKey, Server, free_port, running
from tests.waiting import until

T = TypeVar("T")
_START_S = 10.0
TERMS = "https://voxgate.test/terms?a=1&b=2"
CONFIG = f"""{ALONE}
[plans.free]
allowance = 10
[plans.creator]
price = "R$ 49"
allowance = 1000
keys = 5
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
        with self.server.control() as control:
            made = control.post("/admin/users", json={"address": address, "operator": operator, **named})
        return str(json_of(made, 201)["link"])

    def mailed(self, number: int) -> tuple[str, str]:
        """The link and the code of the mail of this number, once it is there."""
        until(lambda: len(self.mails.got) > number)
        text = self.mails.text(number)
        found = re.search(r"(http://\S+#sign_in=\S+).*: ([A-Z0-9]{8})$", text, re.MULTILINE | re.DOTALL)
        assert found, text
        return found[1], found[2]


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
        text = text.replace("[server]", f'[server]\npublic_url = "http://127.0.0.1:{port}"', 1)
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
