"""The names of an engine while it loads: known from its last start, else not known to be wrong."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from proxy.config.sections import Config, EngineSection
from proxy.engines import registry
from proxy.engines.engine_list import Engines, open_engines
from proxy.hosts.host import sockets_in
from proxy.hosts.host_list import Hosts
from proxy.hosts.supervisor import hosted_specs
from proxy.processes import runtime
from proxy.telemetry.metrics import Metrics
from speech_engine import API_VERSION, Language, ModelInfo, VoiceInfo
from speech_engine.host.messages import HelloReply
from speech_engine.host.pipe_messages import HostState
from tests.proxy.api.inside import Inside, envelope, inside
from tests.tables import each_row
from tests.waiting import soon

TONE = EngineSection("tone")
CONFIG = """
[server]
default_model = "tone"
[clusters.gpu]
[runners.far]
plugin = "runpod"
api_key = "k"
[engines.tone]
hosted = false
[engines.{engine}]
{section}
[models]
tone = ["tone/standard"]
tts-1 = ["{engine}/standard", "tone/standard"]
"""
KOKORO = ModelInfo(
    id="standard", languages=(Language("en"),), sample_rate_hz=24_000, is_local=True, max_characters=500
)
HEART = VoiceInfo(id="af_heart", name="Heart", language="en")


def hello() -> bytes:
    return msgspec.msgpack.encode(HelloReply(API_VERSION, 1, (KOKORO,), (HEART,)))


@asynccontextmanager
async def server(
    folder: Path, engine: str = "kokoro", section: str = "model = ''", *states: HostState
) -> AsyncIterator[Inside]:
    """Open a worker whose engine has the states that its supervisor tells."""
    async with inside(folder, CONFIG.format(engine=engine, section=section)) as opened:
        for state in states:
            opened.worker.engines.update_host(state)
        yield opened


async def refused(at: Inside, **asked: str) -> tuple[int, str, bool]:
    """Return the status and the code of a refusal, and whether it tells when to try again."""
    answer = await at.speech(**asked)
    return answer.status_code, envelope(answer)["code"], "retry-after" in answer.headers


ASKED = [
    {"model": "kokoro", "voice": "af_heart"},
    {"model": "tts-1", "voice": "pm_alex"},
    {"model": "tts-1", "voice": "pm_alex(2)+kokoro/pm_santa"},
    {"model": "tone", "voice": "af_heart"},
    {"model": "af_heart", "voice": "tone"},
]


async def test_a_name_that_a_loading_engine_may_bring_is_not_unknown_yet(tmp_path: Path) -> None:
    async with server(tmp_path) as at:
        for asked in ASKED:
            assert await refused(at, **asked) == (503, "engine_unavailable", True), asked
        assert (await at.ask("GET", "/v1/voices/af_heart")).status_code == 503
        # The engine of this name is known.
        assert (await refused(at, model="tone", voice="tone/af_heart"))[:2] == (400, "voice_not_found")
        ready = HostState("kokoro", 0, 1, "starting", "reading", loaded=0.5, hello=hello())
        at.worker.engines.update_host(ready)
        assert (await refused(at, model="tone", voice="pm_alex"))[:2] == (400, "voice_not_found")
        assert (await at.ask("GET", "/v1/voices/kokoro%2Faf_heart")).status_code == 200


@each_row(
    ("engine", "section", "states"),
    [
        ("kokoro", "model = ''", [HostState("kokoro", 0, 1, "failed", "no environment")]),
        ("kokoro", "model = ''", [HostState("kokoro", 0, 1, "unloaded")]),
        ("kokoro", "model = ''", [HostState("kokoro", 0, 1, "waiting", "no memory")]),
        ("kokoro", "load_s = 0.000001", []),
        ("kokoro", "load_s = 0.000001", [HostState("kokoro", 0, 2, "starting")]),
        ("kokoro", "cluster = 'gpu'", []),
        ("kokoro", "cluster = 'gpu'", [HostState("kokoro", 0, 1, "starting", machine="mch_1")]),
        ("kokoro", "runner = 'far'\nbudget_usd_day = 1", []),
        ("slow", "plugin = 'tone'", []),
        ("espeak", "processes = 1", []),
    ],
)
async def test_else_it_is_unknown_at_once(
    tmp_path: Path, engine: str, section: str, states: list[HostState]
) -> None:
    async with server(tmp_path, engine, section, *states) as at:
        assert (await refused(at, model="tone", voice="af_heart"))[:2] == (400, "voice_not_found")


async def test_a_new_start_counts_from_its_own_beginning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    monkeypatch.setattr("proxy.hosts.hosted.time", clock)
    async with server(tmp_path, "kokoro", "load_s = 600") as at:
        asked: dict[str, Any] = {"model": "tone", "voice": "af_heart"}
        for later_s, state, status in [
            (599.0, "", 503),
            (2.0, "", 400),
            (0.0, "failed", 400),
            (0.0, "starting", 503),
            (599.0, "", 503),
            (2.0, "", 400),
        ]:
            clock.now += later_s
            if state:
                at.worker.engines.update_host(HostState("kokoro", 0, 1, state))
            assert (await refused(at, **asked))[0] == status, (later_s, state)


class Clock:
    now = 1000.0

    def monotonic(self) -> float:
        return self.now


@asynccontextmanager
async def started(
    folder: Path, section: EngineSection = TONE
) -> AsyncIterator[tuple[Engines, list[HostState]]]:
    """The engines of a worker, and the states that its supervisor's real host has told."""
    config, states = Config(data=str(folder), engines={"tone": section}), list[HostState]()
    specs = hosted_specs(config, registry.load())
    async with open_engines(registry.load(), config, Metrics().engines) as engines:

        def note(state: HostState) -> None:
            states.append(state)
            engines.update_host(state)

        with runtime.runtime_folder(folder) as short, runtime.control_socket(short):
            hosts = Hosts(specs, sockets_in(short), note)
            async with asyncio.timeout(60.0), asyncio.TaskGroup() as running:
                running.create_task(hosts.run())
                await soon(lambda: states)
                yield engines, states
                await soon(lambda: states[-1].state == "ready")
                await hosts.stop(10.0)


async def test_a_warm_start_knows_the_names_before_the_host_has_loaded(tmp_path: Path) -> None:
    async with started(tmp_path) as (engines, states):
        assert (states[0].state, engines["tone"].voices()) == ("starting", ())
    async with started(tmp_path) as (engines, states):
        assert states[0].state == "starting"
        assert engines["tone"].voices()[0].id == "tone"
        assert engines["tone"].state == "starting"
    # Another section may have other voices.
    async with started(tmp_path, EngineSection("tone", settings={"voices": ["bell"]})) as (engines, _):
        assert engines["tone"].voices() == ()
