"""A hundred losses at random under load: of agents and engines, killed, stopped and cut off."""

import os
import random
import signal
import threading
import time
from collections import Counter
from contextlib import ExitStack, closing
from pathlib import Path

import httpx2
import pytest

from speech_engine.host.suspects import KILLER
from tests.faults.cluster_hosts import Agent, Relay, agent, gateway, host_key, port_of, relay, watched
from tests.faults.processes import state
from tests.server import Server
from tests.waiting import until

pytestmark = pytest.mark.slow

LOSSES = 100
"""A loss takes four seconds. The moments are others in each run."""
HOSTS = 3
NOTICED_S, BACK_S = 4.0, 15.0
_CLIENTS = 6


class _Place:
    """A host that comes back: an agent, with several lives, and the relay through which it dials."""

    def __init__(self, folder: Path, server: Server, key: str) -> None:
        self._folder, self._key = folder, key
        self._lives = ExitStack()
        self.relay = self._lives.enter_context(relay(port_of(server)))
        self.agent = self._lives.enter_context(agent(folder, self.relay.url, key))

    def lose(self, how: str) -> None:
        match how:
            case "agent killed":
                self.agent.process.kill()
            case "agent stopped":
                os.kill(self.agent.process.pid, signal.SIGSTOP)
            case "cut off":
                self.relay.cut()
            case "engine killed":
                os.kill(self.agent.hosts()[0].pid, signal.SIGKILL)
            case "engine stopped":
                os.kill(self.agent.hosts()[0].pid, signal.SIGSTOP)

    def mend(self, how: str) -> None:
        if how == "agent killed":
            self.agent = self._lives.enter_context(agent(self._folder, self.relay.url, self._key))
        elif how == "agent stopped":
            os.kill(self.agent.process.pid, signal.SIGCONT)
        elif how == "cut off":
            self.relay.join()

    def close(self) -> None:
        self._lives.close()


class _Load:
    """Clients that speak all the time. What had no audio yet must come; what had may break off.

    A text is refused if two processes were killed while they spoke it, and a process that dies between its
    first sound and the first byte for the client costs the answer.
    """

    def __init__(self, server: Server) -> None:
        self.answers: Counter[str] = Counter()
        self.others: list[str] = []
        self._server = server
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._speak, args=(number,)) for number in range(_CLIENTS)]
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _speak(self, number: int) -> None:
        said = 0
        voices = ("tone/tone", "tone/late", "tone/slow")
        with self._server.client(timeout=60.0) as client:
            while not self._over.is_set():
                said += 1
                body = {"model": "tts-1", "voice": voices[said % 3], "input": f"Text {number} {said}."}
                try:
                    answer = client.post("/v1/audio/speech", json={**body, "response_format": "pcm"})
                    self.answers[str(answer.status_code)] += 1
                    self.others += [answer.text] * (answer.status_code != 200)
                except httpx2.TransportError:
                    self.answers["broken off"] += 1


@pytest.mark.soak
@pytest.mark.clock
def test_a_hundred_losses_at_random_moments(tmp_path: Path) -> None:
    chosen = random.Random()
    ways = ("agent killed", "agent stopped", "cut off", "engine killed", "engine stopped")
    with gateway(tmp_path / "gateway") as server:
        key = host_key(server)
        places = [_Place(tmp_path / f"host{number}", server, key) for number in range(HOSTS)]
        with ExitStack() as lives:
            for place in places:
                lives.callback(place.close)
            until(lambda: state(server, "tone")["slots"] == 8 * HOSTS)
            longest = Counter[str]()
            # After a failure, too: threads that speak on let the process of the tests never end.
            load = lives.enter_context(closing(_Load(server)))
            for _ in range(LOSSES):
                time.sleep(chosen.uniform(0.0, 1.0))
                how, place = chosen.choice(ways), chosen.choice(places)
                began = time.monotonic()
                place.lose(how)
                if not how.startswith("engine"):
                    until(lambda: watched(server) == HOSTS - 1)
                    took_s = time.monotonic() - began
                    longest[how] = max(longest[how], round(1000 * took_s))
                    assert took_s < NOTICED_S, how
                place.mend(how)
                until(lambda: state(server, "tone")["slots"] == 8 * HOSTS, BACK_S)
                print(how, dict(load.answers), flush=True)
            load.close()
            until(lambda: state(server, "tone")["running"] == 0)
            print(dict(load.answers), "noticed within ms", dict(longest))
            assert all(KILLER in other or "engine_unavailable" in other for other in load.others), load.others
            assert len(load.others) < 0.02 * load.answers["200"]
            verified = server.cli("ledger", "verify").stdout
            assert "The books agree" in verified, verified


def test_a_relay_that_joins_passes_on_again(tmp_path: Path) -> None:
    with gateway(tmp_path / "gateway") as server, relay(port_of(server)) as between:
        with agent(tmp_path / "host", between.url, host_key(server)) as host:
            _loses_and_finds(server, host, between)


def _loses_and_finds(server: Server, host: Agent, between: Relay) -> None:
    until(lambda: state(server, "tone")["slots"] == 8)
    between.cut()
    until(lambda: watched(server) == 0)
    assert server.speech("Nobody is there.").status_code == 503
    between.join()
    until(lambda: state(server, "tone")["slots"] == 8)
    assert server.speech("Here again.").status_code == 200
    assert len(host.hosts()) == 1
