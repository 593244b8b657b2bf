"""A shop whose natural voices have samples: a real worker on a port of this process, for a browser."""

import struct
from collections.abc import AsyncIterator, Callable, Collection, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from starlette.types import Receive, Scope, Send

from policies.routing import Voice
from proxy.app import Worker
from proxy.features.samples.texts import front_text
from proxy.features.voice_list.voice_samples import FrontSample, MadeSample, NoVoiceSamples, Pitch
from proxy.http.server_protocol import ServerProtocol
from speech_engine import Language, VoiceInfo
from tests.features.console.people import _inside as inside_loop
from tests.features.console.people import _loop as thread_loop
from tests.proxy.api.inside import inside
from tests.proxy.api.scripted import Scripted, spoken
from tests.proxy.http.sockets import serving
from tests.sound import tone

VOICES = (
    ("af_heart", "en-US", "female"),
    ("am_eric", "en-US", "male"),
    ("bf_emma", "en-GB", "female"),
    ("pf_dora", "pt-BR", "female"),
    ("ff_siwis", "fr", "female"),
    ("im_nicola", "it", "male"),
    ("ef_dora", "es", "female"),
    ("hf_alpha", "hi", "female"),
)
SHOP = """
[server]
public_url = "http://127.0.0.1"
default_model = "studio"
[engines.studio]
hosted = false
[models]
studio = ["studio/m"]
tts-1 = ["studio/m"]
[plans.free]
allowance = 600
rpm = 1000
prices.speech = { credits = 1, per = "second" }
[plans.creator]
price = "R$ 49"
allowance = 20000
streams = 4
voices = 1
job_characters = 500000
prices.speech = { credits = 1, per = "second" }
[users]
sign_up = "open"
terms = "https://lumen.test/terms"
[mail]
url = "smtp://127.0.0.1:9"
from = "Voices <voices@example.org>"
[payments.plans.creator]
amount = "49.00"
currency = "BRL"
providers = ["mercadopago"]
[payments.packs.small]
credits = 4800
amount = "29.90"
currency = "BRL"
providers = ["mercadopago"]
[payments.mercadopago]
access_token = "file:token"
webhook_secret = "file:token"
seller = "1"
[front]
name = "Lumen Voices"
links = [{ title = "Impressum", url = "https://lumen.test/impressum" }]
"""
_WAV = "v1/audio/samples/one.wav"


class Studio(Scripted):
    """A local natural model with the voices of several languages. It counts what it is asked."""

    def __init__(self) -> None:
        languages = tuple(Language(tag) for tag in dict.fromkeys(tag for _, tag, _ in VOICES))
        super().__init__(*spoken(0.5), is_speech=True, languages=languages)

    def voices(self) -> tuple[VoiceInfo, ...]:
        return tuple(VoiceInfo(id=id_, name=id_, language=tag, gender=gender) for id_, tag, gender in VOICES)


class MadeSamples(NoVoiceSamples):
    """Samples that are all made, but for voices whose name is in `missing`. Those in `soon` will be made."""

    def __init__(self) -> None:
        self.missing: Collection[str] = ()
        self.soon: Collection[str] = ()
        self.has_front = True
        self.shown: Callable[[], Collection[str]] = tuple

    def sample_of(self, voice: Voice, language: str | None = None) -> MadeSample | None:
        del language
        if voice.name in self.missing:
            return MadeSample(address="") if voice.name in self.soon else None
        pitch: Pitch = "low" if voice.gender == "male" else "high"
        return MadeSample(address=f"/{_WAV}", pitch_hz=200, pitch=pitch, words_a_minute=160, pace="quick")

    def front_sample(self, language: str) -> FrontSample | None:
        voice = {"en": "studio/af_heart", "pt-BR": "studio/pf_dora", "es": "studio/ef_dora"}.get(language)
        return (
            FrontSample(address=f"/{_WAV}", voice=voice, text=front_text(language))
            if voice and self.has_front
            else None
        )

    def show_on_front(self, voices: Callable[[], Collection[str]]) -> None:
        self.shown = voices


class Shop:
    """The worker, its address, its engine and its samples."""

    def __init__(self, worker: Worker, studio: Studio, samples: MadeSamples) -> None:
        self.worker, self.studio, self.samples = worker, studio, samples
        self.url = ""

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] == f"/{_WAV}":
            headers = [(b"content-type", b"audio/wav"), (b"content-length", str(len(WAV)).encode())]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": WAV})
            return
        await self.worker.public(scope, receive, send)


def _wav(pcm: bytes, rate: int) -> bytes:
    head = struct.pack("<4sIHHIIHH4sI", b"fmt ", 16, 1, 1, rate, 2 * rate, 2, 16, b"data", len(pcm))
    return b"RIFF" + struct.pack("<I", 4 + len(head) + len(pcm)) + b"WAVE" + head + pcm


WAV = _wav(tone(440, 2.0, 24_000), 24_000)


@asynccontextmanager
async def shop(folder: Path, config: str = SHOP) -> AsyncIterator[Shop]:
    # Its samples are those of the test.
    off = '[features]\noff = ["samples"'
    config = (
        config.replace("[features]\noff = [", f"{off}, ") if "[features]" in config else f"{config}{off}]\n"
    )
    studio, samples = Studio(), MadeSamples()
    (folder / "token").write_text("x" * 32)
    async with inside(folder, config, {"studio": studio}) as server:
        opened = server.worker.open_features
        context = opened.context.with_shared(samples)
        worker = Worker(server.worker.parts, opened._replace(context=context))
        made = Shop(worker, studio, samples)
        async with serving(made.app, ServerProtocol) as (host, port):
            made.url = f"http://{host}:{port}"
            yield made


@contextmanager
def shop_beside(folder: Path, config: str = SHOP) -> Iterator[Shop]:
    """The same for a test without a loop, which drives a browser."""
    with thread_loop() as loop, inside_loop(loop, shop(folder, config)) as made:
        yield made
