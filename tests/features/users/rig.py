"""Sign-ins of a worker inside the test's process: browsers with cookies, and mails as they wait."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx2

from proxy.access.sessions import COOKIE
from proxy.features.mail.records import TASKS, Letter
from proxy.file_store.vault import Vault
from proxy.storage.store import Statement, Store
from tests.proxy.api.inside import TONE, Inside, inside

ORIGIN = "https://voxgate.test"
OWN_PAGE = {"sec-fetch-site": "same-origin", "sec-fetch-dest": "empty"}
_LATER = "UPDATE {table} SET created = created - :us, {other} = {other} - :us"


class Secrets(NamedTuple):
    id: str
    token: str
    code: str


def json_of(answer: httpx2.Response) -> dict[str, Any]:
    """The answer, which is no failure."""
    assert answer.is_success, answer.text
    found: dict[str, Any] = answer.json()
    return found


class Browser:
    """A browser of one network. It keeps the cookie of its last answer that has one."""

    def __init__(self, server: Inside, network: str = "192.0.2.1") -> None:
        self.cookie = ""
        self._server = server
        self._network = network

    async def ask(
        self, method: str, path: str, body: Any = None, *, page: bool = True, key: str = "", **headers: str
    ) -> httpx2.Response:
        sent = {**(OWN_PAGE if page else {}), **headers}
        if self.cookie:
            sent["cookie"] = f"theme=dark; {COOKIE}={self.cookie}"
        if key:
            sent["authorization"] = f"Bearer {key}"
        transport = httpx2.ASGITransport(app=self._server.worker.public, client=(self._network, 4000))
        async with httpx2.AsyncClient(transport=transport, base_url=ORIGIN) as client:
            answer = await client.request(method, path, json=body, headers=sent)
        for line in answer.headers.get_list("set-cookie"):
            self.cookie = line.partition("=")[2].partition(";")[0]
        return answer

    async def request(self, address: str = "ada@example.org") -> httpx2.Response:
        return await self.ask("POST", "/v1/sign-ins", {"address": address})

    async def confirm(self, id_: str, **proof: str) -> httpx2.Response:
        return await self.ask("POST", f"/v1/sign-ins/{id_}/confirm", proof)

    async def sign_in(self, address: str = "ada@example.org") -> dict[str, Any]:
        asked = await self.request(address)
        sent = await mailed(self._server, json_of(asked)["id"])
        return json_of(await self.confirm(sent.id, token=sent.token))


async def letters(store: Store, vault: Vault) -> dict[str, Letter]:
    """The mails that wait, by their sign-ins."""
    rows = [TASKS.read(row) for row in await store.read("SELECT * FROM mails")]
    return {row.subject: vault.open_record(row.account, row.id, row.seal, Letter) for row in rows}


def secrets_of(letter: Letter) -> Secrets:
    id_, _, token = letter.facts["link"].partition("#sign_in=")[2].partition(".")
    return Secrets(id_, token, letter.facts["code"])


async def mailed(server: Inside, id_: str) -> Secrets:
    waiting = await letters(server.worker.store, server.worker.open_features.context.find(Vault))
    return secrets_of(waiting[id_])


async def later(store: Store, seconds: float) -> None:
    """Move all sign-ins and sessions into the past."""
    for table, other in (("sign_ins", "until"), ("sessions", "seen")):
        sql = _LATER.format(table=table, other=other)
        await store.write(Statement(sql, {"us": round(seconds * 1e6)}))
    counts = "UPDATE sign_in_counts SET created = created - :us"
    await store.write(Statement(counts, {"us": round(seconds * 1e6)}))


def config(sign_up: str = "open", url: str = "sqlite") -> str:
    return f"""{TONE.replace("[server]", f'[server]{chr(10)}public_url = "{ORIGIN}"', 1)}
[users]
sign_up = "{sign_up}"
[mail]
url = "smtp://127.0.0.1:9"
from = "voices@example.org"
[storage]
url = "{url}"
"""


@asynccontextmanager
async def served(folder: Path, sign_up: str = "open", url: str = "sqlite") -> AsyncIterator[Inside]:
    async with inside(folder, config(sign_up, url), name="ops") as server:
        yield server


async def texts_of(store: Store) -> str:
    """All rows of all tables, as one text."""
    found = []
    for name in dict.fromkeys(table.name for table in store.tables):
        found += [f"{name} {dict(row)}" for row in await store.read(f"SELECT * FROM {name}")]
    return "\n".join(found)
