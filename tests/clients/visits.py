"""One cell of the table being proven: a client's program at a row, and a look into the server meanwhile."""

import base64
from typing import Any, NamedTuple

import httpx2

from tests.clients.limited import Account
from tests.clients.runs import Program
from tests.clients.servers import Servers
from tests.waiting import until

TEXT = "The quick brown fox."
"""What every program has spoken, unless its row needs a longer one."""

_BEGIN_S = 60.0


class Visit(NamedTuple):
    client: str
    row: int
    program: Program
    servers: Servers
    admin: httpx2.Client

    def see(self) -> Any:
        """What the program saw."""
        self.program.begin(self.row)
        return self.program.end()

    def see_as(self, account: Account) -> Any:
        """What the program saw with the account's key, at the account's server."""
        self.program.begin(self.row, account.url, account.key)
        return self.program.end()

    def see_owning(self) -> Any:
        """What the program saw with the key of a new account, which has 44 consents already."""
        server = self.servers.shut.server
        key = server.mint_key(f"{self.client}-{self.row}", plan="unlimited").secret
        with server.client(key) as client:
            for number in range(44):
                statement = {"name": f"c{number}", "language": "en", "statement": "They agreed."}
                client.post("/v1/audio/voice_consents", json=statement).raise_for_status()
        self.program.begin(self.row, server.url, key)
        return self.program.end()

    def see_leaving(self, engine: str, reaction_s: float) -> Any:
        """As `see`, of a row that holds a slot of the engine, and must give it back when it ends."""
        self._until_running(engine, 0, reaction_s)
        self.program.begin(self.row)
        self._until_running(engine, 1, _BEGIN_S)
        seen = self.program.end()
        self._until_running(engine, 0, reaction_s)
        return seen

    def until_logged(self, text: str) -> None:
        """The line about a request is written after its last byte, which the client may see first."""
        until(lambda: text in self.servers.shut.server.log.read_text())

    def _until_running(self, engine: str, wanted: int, within_s: float) -> None:
        until(lambda: self._running(engine) == wanted, within_s)

    def _running(self, engine: str) -> int:
        listed = self.admin.get("/admin/engines").raise_for_status().json()["data"]
        running: int = next(entry["running"] for entry in listed if entry["name"] == engine)
        return running


def audio(answer: dict[str, Any]) -> bytes:
    return base64.b64decode(answer["audio"], validate=True)


def pcm(spoken: dict[str, Any]) -> bytes:
    return base64.b64decode(spoken["pcm"], validate=True)
