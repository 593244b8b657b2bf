"""Three servers behind the nginx of docs/machines.md, stopped in turn: no utterance is cut."""

import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest
from websockets.exceptions import WebSocketException

from tests.databases import Postgres
from tests.docs import pages
from tests.faults.cluster_kills import Gateway
from tests.features.cluster.gateways import FOLDER, SHARED, nginx
from tests.features.cluster.rig import key
from tests.features.sockets.native import talking
from tests.programs import program
from tests.redis_server import RedisServer
from tests.server import ALONE, free_port
from tests.waiting import until

pytestmark = pytest.mark.soak

TEXT = ("This is ", "one. And ", "this is two. ", "Three.")
SPEAKERS = 4
UTTERANCES = 200


class Spoken(NamedTuple):
    """What became of one utterance, and how often it was begun anew before its first sound."""

    is_whole: bool
    was_heard: bool


class Agents:
    """Clients that speak one utterance after the other, each on its socket until the server closes it."""

    def __init__(self, url: str, secret: str) -> None:
        self.spoken: list[Spoken] = []
        self.sockets = 0
        self._url, self._secret = url, secret
        self._is_over = threading.Event()
        self._threads = [threading.Thread(target=self._speak_on) for _ in range(SPEAKERS)]

    def __enter__(self) -> "Agents":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        for thread in self._threads:
            thread.join()

    def _speak_on(self) -> None:
        while not self._is_over.is_set():
            try:
                self._speak_on_one()
            except (OSError, WebSocketException):
                # A server that leaves refuses, and an agent dials anew.
                self._is_over.wait(0.2)

    def _speak_on_one(self) -> None:
        with talking(self._url, self._secret) as talker:
            self.sockets += 1
            while not self._is_over.is_set():
                spoken = talker.speak(*TEXT)
                is_whole = "session.done" in spoken.types and "error" not in spoken.types
                self.spoken.append(Spoken(is_whole, bool(spoken.sound)))
                if not is_whole:
                    return


@contextmanager
def _site(folder: Path, postgres: Postgres, redis: RedisServer) -> Iterator[tuple[list[Gateway], str]]:
    program("nginx")  # it skips the test where there is none
    (folder / "key").write_text(key(1))
    url = postgres.url(search_path=postgres.new_schema())
    shared = SHARED.format(url=url, redis=redis.url, folder=folder, vault=FOLDER.format(folder=folder))
    with ExitStack() as stack:
        gateways = []
        for name in "abc":
            gateways.append(Gateway(folder / name, ALONE + shared, {}))
            stack.callback(gateways[-1].stop)
        yield gateways, stack.enter_context(_nginx(folder, [each.server.url for each in gateways]))


@contextmanager
def _nginx(folder: Path, urls: Sequence[str]) -> Iterator[str]:
    (block,) = pages.blocks(pages.ROOT / "docs" / "machines.md", "nginx")
    port = free_port()
    text = re.sub(r"listen 443 ssl;\n(.*\n){3}", f"listen 127.0.0.1:{port};\n", block.text)
    for number, url in enumerate(urls, 11):
        text = text.replace(f"10.0.0.{number}:8000", url.removeprefix("http://"))
    with nginx(folder, port, text) as url:
        yield url


def test_no_utterance_is_cut_while_three_servers_are_stopped_in_turn(
    tmp_path: Path, shared_postgres: Postgres, shared_redis: RedisServer
) -> None:
    with _site(tmp_path, shared_postgres, shared_redis) as (gateways, url):
        secret = gateways[0].server.mint_key().secret
        with Agents(url, secret) as agents:
            stopped = 0
            while stopped < len(gateways) or len(agents.spoken) < UTTERANCES:
                before = len(agents.spoken)
                until(lambda before=before: len(agents.spoken) >= before + SPEAKERS)  # type: ignore[misc]
                gateways[stopped % 3].stop()
                gateways[stopped % 3].start()
                stopped += 1
        cut = [each for each in agents.spoken if each.was_heard and not each.is_whole]
        print(f"{stopped} stops, {len(agents.spoken)} utterances on {agents.sockets} sockets, {len(cut)} cut")
        assert cut == []
        assert agents.sockets > SPEAKERS
