"""Engines on other machines: over links, killed, stopped, cut off, drained and found again."""

import itertools
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import httpx2
import pytest

from speech_engine.host.confinement import has_call_filter
from tests.commands import command
from tests.faults.cluster_hosts import Agent, Relay, agent, gateway, host_key, port_of, relay, watched
from tests.faults.processes import state
from tests.faults.streams import stream
from tests.server import Server
from tests.tables import each_row
from tests.waiting import until

pytestmark = pytest.mark.slow

NOTICED_S = 4.0
_numbers = itertools.count()
_TONE = '[engines.tone]\nslots = 8\n[engines.slow]\nplugin = "tone"\nslots = 8\n'
_SLOW = '[engines.slow]\nplugin = "tone"\ncluster = "gpu"\n'


HOSTS = 3


class Site(NamedTuple):
    """A gateway and its hosts, the last one of which is behind a relay."""

    server: Server
    agents: tuple[Agent, Agent, Agent]
    relay: Relay
    key: str


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("cluster")
    with gateway(folder / "gateway", more=_SLOW) as server, relay(port_of(server)) as between:
        key = host_key(server)
        with (
            agent(folder / "one", server.url, key, _TONE) as one,
            agent(folder / "two", server.url, key, _TONE) as two,
            agent(folder / "three", between.url, key, _TONE) as three,
        ):
            _wait_for(server, HOSTS)
            yield Site(server, (one, two, three), between, key)


def _wait_for(server: Server, hosts: int) -> None:
    until(lambda: watched(server) == hosts)
    until(lambda: state(server, "tone")["slots"] == 8 * hosts)


def _spoken_meanwhile(server: Server, do: Callable[[], None]) -> list[httpx2.Response]:
    """Four requests whose audio is two seconds away, and what happens to hosts before that."""
    with ThreadPoolExecutor(4) as pool:
        # Each text is new: one that was in a process that died runs alone there for a while.
        asked = [pool.submit(server.speech, f"Text {next(_numbers)}.", voice="tone/late") for _ in range(4)]
        until(lambda: state(server, "tone")["running"] == 4)
        do()
        return [each.result() for each in asked]


def test_a_client_notices_no_difference(site: Site) -> None:
    spoken = site.server.speech("Hello from another machine.", response_format="wav")
    assert (spoken.status_code, spoken.content[:4]) == (200, b"RIFF")
    with stream(site.server, "tone/slow") as speech:
        speech.read(4_800)
    until(lambda: state(site.server, "tone")["running"] == 0)


def test_an_agent_says_when_it_is_ready_and_what_its_hosts_do(site: Site) -> None:
    page = site.agents[0].metrics
    assert httpx2.get(f"{page}/readyz").status_code == 200
    figures = httpx2.get(f"{page}/metrics").text
    assert 'voxgate_host_slots{engine="tone",process="0"} 8.0' in figures
    assert 'voxgate_host_jobs{engine="tone",process="0"} 0.0' in figures


def test_operators_switch_the_engine_on_all_its_hosts(site: Site) -> None:
    site.server.cli("engines", "unload", "slow")
    until(lambda: state(site.server, "slow")["state"] == "unloaded")
    site.server.cli("engines", "load", "slow")
    until(lambda: state(site.server, "slow")["slots"] == 8 * HOSTS)


def test_a_killed_process_costs_its_neighbours_only_time(site: Site) -> None:
    def kill() -> None:
        os.kill(site.agents[0].hosts()[0].pid, signal.SIGKILL)

    assert {each.status_code for each in _spoken_meanwhile(site.server, kill)} == {200}
    _wait_for(site.server, HOSTS)


def test_a_stopped_process_is_replaced(site: Site) -> None:
    def stop() -> None:
        os.kill(site.agents[1].hosts()[0].pid, signal.SIGSTOP)

    began = time.monotonic()
    assert {each.status_code for each in _spoken_meanwhile(site.server, stop)} == {200}
    assert time.monotonic() - began < 2 * NOTICED_S + 2 * 2.0
    _wait_for(site.server, HOSTS)


def test_an_agent_that_ends_finishes_what_it_has_begun(tmp_path: Path) -> None:
    with gateway(tmp_path / "gateway") as server:
        url, key = server.url, host_key(server)
        with agent(tmp_path / "leaving", url, key) as leaving, agent(tmp_path / "other", url, key):
            _wait_for(server, 2)
            with ThreadPoolExecutor(6) as pool:
                text = "A sentence that takes two seconds or so."
                asked = [pool.submit(server.speech, text, voice="tone/slow") for _ in range(6)]
                until(lambda: state(server, "tone")["running"] == 6)
                leaving.process.send_signal(signal.SIGTERM)
                until(lambda: state(server, "tone")["slots"] == 8)
                assert server.speech("Spoken by the other one.").status_code == 200
                assert {each.result().status_code for each in asked} == {200}
            assert leaving.process.wait(30) == 0
            assert "cluster.host.lost" not in server.log.read_text()


def test_a_program_that_owns_an_agent_ends_it_by_ending(tmp_path: Path, site: Site) -> None:
    with agent(
        *(tmp_path / "owned", site.server.url, site.key, _TONE),
        *("--ends-with-stdin", "--engine", "tone"),
    ) as owned:
        until(lambda: len(owned.hosts()) == 1)
        assert 'engine="slow"' not in httpx2.get(f"{owned.metrics}/metrics").text
        assert isinstance(owned.process, subprocess.Popen)
        assert owned.process.stdin is not None
        owned.process.stdin.close()
        assert owned.process.wait(30) == 0


@each_row(
    ("options", "says"),
    [
        ([], "host.gateways: is missing; or give --join https://GATEWAY"),
        (["--join", "http://10.0.0.5"], "--join: http://10.0.0.5 is no https://NAME"),
        (["--join", "gpu1"], "--join: gpu1 is no https://NAME"),
        (["--join", "https://gpu1", "--engine", "another"], "there is no [engines.another]"),
    ],
)
def test_options_are_checked_like_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], says: str
) -> None:
    (tmp_path / "config.toml").write_text("[engines.tone]\n")
    monkeypatch.setenv("VOXGATE_HOST_KEY", "sk-vg-" + "a" * 40)
    done = command(tmp_path / "config.toml", "host", *options, check=False)
    assert (done.returncode, says in done.stderr) == (1, True), done.stderr


def test_a_cluster_that_is_away_keeps_its_models_and_the_next_candidate_speaks_at_once(
    tmp_path: Path,
) -> None:
    more, models = '[engines.local]\nplugin = "tone"\n', '[models]\ntwo = ["tone/standard", "local/standard"]'
    folder = tmp_path / "gateway"
    with gateway(folder, more=more, models=models) as server:
        with agent(tmp_path / "host", server.url, host_key(server)):
            _wait_for(server, 1)
    with gateway(folder, more=more, models=models) as server:
        with server.client() as client:
            assert "tone/standard" in client.get("/v1/models").text
        until(lambda: state(server, "tone")["state"] == "failed")
        assert state(server, "tone")["reason"] == "no host of its cluster is there, or none has it"
        assert "mend or start the hosts of [clusters." in server.cli("doctor", "--json", check=False).stdout
        spoken = server.speech("Hello.", model="two", voice="local/tone")
        assert spoken.status_code == 200, spoken.text
        away = server.speech("Hello.", model="tone/standard")
        assert (away.status_code, away.json()["error"]["type"]) == (503, "server_error"), away.text


@pytest.mark.skipif(not has_call_filter(), reason="the kernel has no seccomp")
def test_a_host_is_confined_and_has_no_port(site: Site) -> None:
    for host in site.agents[0].hosts():
        assert "Seccomp:\t2" in Path(f"/proc/{host.pid}/status").read_text()
        assert [each for each in host.net_connections("tcp") if each.status == "LISTEN"] == []


@each_row("how", ["cut off", "stopped", "killed"])
def test_a_lost_host_is_noticed_and_its_work_is_done_by_another(site: Site, how: str) -> None:
    """It comes last here: the killed host does not come back."""
    lost = site.agents[-1].process

    def lose() -> None:
        began = time.monotonic()
        if how == "cut off":
            site.relay.cut()
        else:
            os.kill(lost.pid, signal.SIGKILL if how == "killed" else signal.SIGSTOP)
        until(lambda: watched(site.server) == HOSTS - 1)
        assert time.monotonic() - began < NOTICED_S

    assert {each.status_code for each in _spoken_meanwhile(site.server, lose)} == {200}
    until(lambda: state(site.server, "tone")["running"] == 0)
    if how == "killed":
        return
    if how == "cut off":
        site.relay.join()
    else:
        os.kill(lost.pid, signal.SIGCONT)
    _wait_for(site.server, HOSTS)
