"""A process that calls peers as the server does, each with the product's own client. It tells how each call
ended, how long it took, and how much memory it needed."""

import asyncio
import ctypes
import gc
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import structlog

from plugins.elevenlabs.engine import create as create_elevenlabs
from plugins.elevenlabs.plugin import ElevenLabsSettings
from plugins.minimax.engine import create as create_minimax
from plugins.minimax.plugin import MinimaxSettings
from plugins.openai.engine import OpenAIEngine
from plugins.openai.realtime.engine import create as create_realtime
from plugins.openai.realtime.settings import RealtimeSettings
from plugins.openai.settings import OpenAISettings
from plugins.runpod.serverless import ServerlessRunner
from plugins.runpod.settings import RunpodSettings
from proxy.access.windows import Limit
from proxy.config.sections import Upstream, VaultSection
from proxy.engines.http.upstream_http import UpstreamClient, open_http
from proxy.engines.providers.refreshing import keep_refreshed
from proxy.errors import RequestFailed
from proxy.features.cluster.limits_redis import open_redis
from proxy.features.mail import smtp
from proxy.features.mail.section import read_url
from proxy.features.mail.smtp import SmtpConnections
from proxy.features.models.addresses import FetchFailed
from proxy.features.models.fetching import FileToFetch, HubPatience, fetch
from proxy.features.models.part_file import PartFile
from proxy.features.monitoring.loop_watch import LoopHold, watch_loop
from proxy.features.payments.provider import ProviderFailed
from proxy.features.webhooks.sender import Sender, WebhookRequest
from proxy.file_store.master_keys import VaultFailed
from proxy.file_store.objects import Bucket
from speech_engine import (
    HEARING_HZ,
    Audio,
    Context,
    Encoded,
    Engine,
    EngineError,
    Hear,
    HearJob,
    HttpRequest,
    Speak,
    SpeechJob,
    Transcript,
)
from speech_engine.host.engine_stream import EngineStream
from speech_engine.pcm import PcmInMemory
from speech_engine.runner import RemoteWork
from speech_engine.testing import job
from tests.features.payments.providers import adapter, checkout_request
from tests.proxy.engines.keys import cloud_engine
from tests.server import MOST_HELD_S

FIRST_AUDIO_S = 9.0
"""As shipped: a request waits so long for its first audio, from all candidates together."""


class PeerReport(msgspec.Struct):
    """What became of a call. `error` is the name of its failure, and its text, `growth` is in bytes."""

    peer: str
    error: str
    seconds: float
    growth: int
    holds: list[str]


async def _spoken(engine: Engine, **more: Any) -> str:
    """Speak a job behind the seam of providers, as a part is spoken."""
    spoken: SpeechJob = msgspec.structs.replace(job("Hello there."), deadline_s=FIRST_AUDIO_S, **more)
    return await _read(cloud_engine(engine).open(Speak(spoken)))


async def _transcribed(engine: Engine, model: str) -> str:
    work = Hear(HearJob(id="1", tenant="a", model=model, deadline_s=FIRST_AUDIO_S))
    pcm = PcmInMemory(bytes(2 * HEARING_HZ), HEARING_HZ)
    return await _read(cloud_engine(engine).open(work, pcm=pcm))


async def _read(stream: EngineStream) -> str:
    has_audio, heard = False, 0
    try:
        async with asyncio.timeout(FIRST_AUDIO_S) as first:
            while (event := await stream.next_event()) is not None:
                if isinstance(event, Audio | Encoded | Transcript) and not has_audio:
                    has_audio = True
                    first.reschedule(None)
                heard += 1
    except TimeoutError:
        return "EngineTimeout: no first audio"
    finally:
        await stream.close()
    return f"finished after {heard} events"


async def _refreshed(engine: Engine) -> str:
    """Ask for a provider's lists as a server does, and return why that failed."""
    cloud = cloud_engine(engine)
    async with keep_refreshed(cloud):
        await cloud.keys[0].first_answer.wait()
    return cloud.keys[0].refresh_reason or "refreshed"


def _context(http: UpstreamClient) -> Context:
    return Context(structlog.get_logger(), http=http, sockets=http)


async def _openai(http: UpstreamClient, at: str, **more: Any) -> str:
    settings = OpenAISettings(base_url=f"http://{at}", models=("m",), voices=("v",), **more)
    return await _spoken(OpenAIEngine(settings, http), model="m", voice=_voice("v"))


def _voice(id_: str) -> Any:
    return job(voice=id_).voice


async def _openai_lists(http: UpstreamClient, at: str) -> str:
    return await _refreshed(OpenAIEngine(OpenAISettings(base_url=f"http://{at}"), http))


async def _openai_transcripts(http: UpstreamClient, at: str) -> str:
    settings = OpenAISettings(base_url=f"http://{at}", models=("m",), transcribes=("whisper-1",))
    return await _transcribed(OpenAIEngine(settings, http), "whisper-1")


async def _minimax(http: UpstreamClient, at: str) -> str:
    settings = MinimaxSettings(api_key="k", base_url=f"http://{at}")
    async with create_minimax("minimax", settings, _context(http)) as engine:
        return await _spoken(engine, model="speech-2.8-hd", voice=_voice("v"))


async def _elevenlabs(http: UpstreamClient, at: str, ask: str = "speech") -> str:
    settings = ElevenLabsSettings(api_key="k", base_url=f"http://{at}", word_times=True)
    async with create_elevenlabs("elevenlabs", settings, _context(http)) as engine:
        if ask == "lists":
            return await _refreshed(engine)
        if ask == "transcripts":
            return await _transcribed(engine, "scribe_v2")
        return await _spoken(engine, model="eleven_multilingual_v2", voice=_voice("fakeVoice01"))


async def _realtime(http: UpstreamClient, at: str) -> str:
    settings = RealtimeSettings(base_url=f"http://{at}", api_key="k")
    async with create_realtime("realtime", settings, _context(http)) as engine:
        return await _spoken(engine, model="gpt-realtime-2.1-mini", voice=_voice("marin"))


async def _runpod(http: UpstreamClient, at: str) -> str:
    settings = RunpodSettings(api_key="k", endpoint_id="e", usd_per_second=0.1, jobs_url=f"http://{at}")
    runner = ServerlessRunner(settings, _context(http))
    return repr(await runner.look("e/a", RemoteWork(key="a", most_s=1.0), 0))


async def _payments(http: UpstreamClient, at: str, name: str) -> str:
    return repr(await adapter(name, http, f"http://{at}").create_checkout(checkout_request()))


async def _webhook(_http: UpstreamClient, at: str) -> str:
    return repr(await Sender().send(WebhookRequest("acc_1", f"http://{at}/", {}, b"{}", is_allowed=True)))


async def _mail(_http: UpstreamClient, at: str) -> str:
    mail = smtp.new_message("mail_1", 0, "v@example.org", "ada@example.net", "Hello", "Hello")
    return repr(await SmtpConnections("").send(read_url(f"smtp://{at}"), mail))


async def _redis(_http: UpstreamClient, at: str) -> str:
    async with open_redis(f"redis://{at}/0") as windows:
        return repr(await windows.count((Limit("key", "a", 5), Limit("account", "b", 5))))


def _bucket(at: str) -> Bucket:
    return Bucket(
        VaultSection(
            store="s3://b/pre/fix",
            endpoint=f"http://{at}",
            region="us-east-1",
            access_key="k",
            secret_key="s",
        )
    )


async def _bucket_read(_http: UpstreamClient, at: str) -> str:
    return f"read {len(await _bucket(at).read('name', 0, 100))} bytes"


async def _bucket_list(_http: UpstreamClient, at: str) -> str:
    return f"listed {len(await _bucket(at).list())}"


async def _bucket_put(_http: UpstreamClient, at: str) -> str:
    await _bucket(at).put("name", b"data")
    return "put"


async def _hub(_http: UpstreamClient, at: str) -> str:
    with tempfile.TemporaryDirectory() as folder:
        file = FileToFetch("a.onnx", (f"http://{at}/a.onnx",), 0, 1_000_000, digests=("0" * 64,))
        part = PartFile(Path(folder), "a.onnx")
        await asyncio.to_thread(fetch, file, part, HubPatience(4.0, 4.0), lambda _done, _of: None)
    return "fetched"


async def _forward_proxy(_http: UpstreamClient, at: str) -> str:
    async with (
        open_http(Upstream(proxy=f"http://{at}")) as http,
        http.send(HttpRequest(method="GET", url="https://provider.example.org/", within_s=8.0)) as answer,
    ):
        return f"answered {answer.status}"


CALLS: dict[str, Callable[[UpstreamClient, str], Awaitable[str]]] = {
    "openai speech": _openai,
    "openai events": lambda http, at: _openai(http, at, stream="sse"),
    "openai lists": _openai_lists,
    "openai transcripts": _openai_transcripts,
    "minimax speech": _minimax,
    "minimax whole": _minimax,
    "elevenlabs speech": _elevenlabs,
    "elevenlabs lists": lambda http, at: _elevenlabs(http, at, "lists"),
    "elevenlabs transcripts": lambda http, at: _elevenlabs(http, at, "transcripts"),
    "realtime": _realtime,
    "runpod": _runpod,
    "runpod pieces": _runpod,
    "stripe": lambda http, at: _payments(http, at, "stripe"),
    "mercadopago": lambda http, at: _payments(http, at, "mercadopago"),
    "webhook": _webhook,
    "mail": _mail,
    "redis": _redis,
    "bucket read": _bucket_read,
    "bucket list": _bucket_list,
    "bucket refuses": _bucket_put,
    "hub": _hub,
    "forward proxy": _forward_proxy,
}
_NAMED = (EngineError, RequestFailed, VaultFailed, ProviderFailed, FetchFailed, TimeoutError)
"""The failures that callers know. Any other is a fault of ours."""


async def _called(http: UpstreamClient, peer: str, at: str) -> str:
    try:
        return await CALLS[peer](http, at)
    except _NAMED as error:
        return f"{type(error).__name__}: {error}"[:300]
    except Exception as error:  # noqa: BLE001 - the row has its name
        return f"FAULT {type(error).__name__}: {error}"[:300]


def _kib(name: str) -> int:
    status = Path("/proc/self/status").read_text()
    return int(status.partition(f"{name}:")[2].split()[0])


def _settled_bytes() -> int:
    """Begin a new peak, and return what the process has now."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")
    return _kib("VmRSS") * 1024


async def _beat() -> None:
    """Let the watch of the loop look once more."""
    with suppress(TimeoutError):
        async with asyncio.timeout(0.06):
            await asyncio.Event().wait()


async def _report(http: UpstreamClient, peer: str, at: str, holds: list[str], before: int) -> None:
    began = time.monotonic()
    error = await _called(http, peer, at)
    seconds, growth = time.monotonic() - began, _kib("VmHWM") * 1024 - before
    await _beat()
    report = PeerReport(peer, error, seconds, growth, list(holds))
    sys.stdout.write(msgspec.json.encode(report).decode() + "\n")
    sys.stdout.flush()


async def main(how: str, *rows: str) -> None:
    """Call peers, each `NAME=HOST:PORT`, one after another or `together`."""
    holds: list[str] = []

    def note(hold: LoopHold) -> None:
        if hold.held_s >= MOST_HELD_S:
            holds.append(f"{hold.held_s:.3f} s: {hold.step}")

    calls = [tuple(row.split("=")) for row in rows]
    async with watch_loop(note), open_http(Upstream()) as http:
        with suppress(ModuleNotFoundError):
            import obstore  # noqa: F401 - its memory is no growth
        for some in [calls] if how == "together" else [[each] for each in calls]:
            before = _settled_bytes()
            await _beat()
            holds.clear()
            await asyncio.gather(*(_report(http, peer, at, holds, before) for peer, at in some))
