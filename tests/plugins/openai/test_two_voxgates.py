"""OpenAI's SDK → a voxgate → its openai plugin → a second voxgate, whose engine speaks in tones."""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Literal, NamedTuple, get_args

import httpx2
import openai
import pytest

from plugins.tone.decode import decode, decode_timbres
from plugins.tone.timbre import Timbre
from proxy.audio.frames import page_bytes
from tests.server import TONE, Server, running
from tests.sound import decoded
from tests.speech_clips import wav
from tests.tables import soak

pytestmark = pytest.mark.slow

TEXT = "Hello there. How are you, Zoë? สวัสดี."
SENTENCES = ("Hello there.", "How are you, Zoë?", "สวัสดี.")

_FRONT = """
[server]
default_model = "up/tts-1"
[engines.up]
plugin = "openai"
base_url = "{url}/v1"
api_key = "env:UPSTREAM_KEY"
formats = ["mp3", "opus", "aac", "pcm"]
send_language = true
[engines.lends]
plugin = "openai"
base_url = "{url}/v1"
api_key = "env:UPSTREAM_KEY"
recordings = "form"
models = ["tone"]
[engines.events]
plugin = "openai"
base_url = "{url}/v1"
api_key = "env:UPSTREAM_KEY"
stream = "sse"
formats = ["mp3", "opus", "aac", "pcm"]
models = ["tone"]
[engines.hearing]
plugin = "openai"
preset = "voxgate"
base_url = "{url}/v1"
api_key = "env:UPSTREAM_KEY"
models = ["tone"]
transcribes = ["tone/ears"]
[models]
"whisper-1" = ["hearing/tone/ears"]
"tts-1" = ["up/tts-1"]
"gpt-4o-mini-tts" = ["events/tone"]
[voices.alloy]
up = "alloy"
events = "alloy"
"""

Format = Literal["mp3", "opus", "aac", "flac", "wav", "pcm"]
FORMATS: tuple[Format, ...] = get_args(Format)


class Chain(NamedTuple):
    front: Server
    back: Server

    def sdk(self, server: Server) -> openai.OpenAI:
        return openai.OpenAI(base_url=f"{server.url}/v1", api_key=server.key, max_retries=0)

    def spoken(self, model: str, format_: Format) -> bytes:
        with self.sdk(self.front) as sdk:
            return sdk.audio.speech.create(
                model=model, voice="alloy", input=TEXT, response_format=format_
            ).content


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chain]:
    folders = [tmp_path_factory.mktemp(name) for name in ("back", "front")]
    hearing = TONE.replace("[engines.tone]\n", "[engines.tone]\nhears = true\n")
    with running(folders[0], hearing) as back, _in_front_of(back, folders[1]) as front:
        yield Chain(front, back)


def _in_front_of(back: Server, folder: Path) -> AbstractContextManager[Server]:
    return running(folder, _FRONT.format(url=back.url), environ={"UPSTREAM_KEY": back.key})


def _said(data: bytes, format_: str) -> tuple[str, ...]:
    sound = decoded(data, format_)
    return decode(sound.samples, sound.sample_rate_hz)


_TURNS = [*zip(FORMATS, ("tts-1", "gpt-4o-mini-tts") * 3, strict=True)]
_OTHERS = [*zip(FORMATS, ("gpt-4o-mini-tts", "tts-1") * 3, strict=True)]


@pytest.mark.parametrize(("format_", "model"), [*_TURNS, *soak(*_OTHERS)])
def test_every_word_comes_through_in_every_format(chain: Chain, model: str, format_: Format) -> None:
    assert _said(chain.spoken(model, format_), format_) == SENTENCES


@pytest.mark.parametrize(("format_", "model"), [("mp3", "gpt-4o-mini-tts"), ("aac", "tts-1")])
def test_an_answer_that_is_passed_on_comes_through_byte_for_byte(
    chain: Chain, model: str, format_: Format
) -> None:
    assert chain.spoken(model, format_) == _direct(chain, format_)


@pytest.mark.parametrize("model", ["tts-1", "gpt-4o-mini-tts"], ids=["bytes", "events"])
def test_opus_comes_through_byte_for_byte_but_for_its_serial_number(chain: Chain, model: str) -> None:
    ours, theirs = _pages(chain.spoken(model, "opus")), _pages(_direct(chain, "opus"))
    assert ours == theirs


def _direct(chain: Chain, format_: Format) -> bytes:
    with chain.sdk(chain.back) as sdk:
        return sdk.audio.speech.create(
            model="tone", voice="alloy", input=TEXT, response_format=format_
        ).content


def _pages(ogg: bytes) -> list[bytes]:
    """Each page but for what differs from one encoding to the next: its serial number and its checksum."""
    pages = []
    while size := page_bytes(ogg, 0):
        page, ogg = ogg[:size], ogg[size:]
        pages.append(page[:14] + page[18:22] + page[26:])
    assert not ogg
    return pages


def test_pcm_is_the_same_sound(chain: Chain) -> None:
    with chain.sdk(chain.back) as sdk:
        theirs = sdk.audio.speech.create(
            model="tone", voice="alloy", input=TEXT, response_format="pcm"
        ).content
    assert chain.spoken("tts-1", "pcm") == theirs


def test_a_list_of_the_second_is_shown_by_the_first(chain: Chain) -> None:
    with chain.front.client() as client:
        models = [model["id"] for model in client.get("/v1/models").json()["data"]]
        voices = {voice["id"]: voice["name"] for voice in client.get("/v1/audio/voices").json()["data"]}
    assert {"up/tone", "up/tts-1", "up/tone/standard", "events/tone"} <= set(models)
    assert voices["up/alloy"] == "alloy"
    assert "up/tone/tone" in voices


def test_the_first_speaks_with_a_voice_that_only_the_second_knows(chain: Chain) -> None:
    body = {"model": "up/tone/standard", "voice": "up/tone/nobody", "input": TEXT}
    with chain.front.client() as client:
        unknown = client.post("/v1/audio/speech", json=body)
        known = client.post("/v1/audio/speech", json={**body, "voice": "up/tone/tone"})
    assert unknown.status_code == 400
    assert unknown.json()["error"]["code"] == "voice_not_found"
    assert _said(known.content, "mp3") == SENTENCES


@pytest.mark.parametrize("format_", ["opus", "wav", *soak("mp3", "aac", "flac", "pcm")])
def test_a_voice_of_a_recording_comes_through(chain: Chain, format_: Format) -> None:
    direct, through = (_lent(server, model, format_) for server, model in _lenders(chain))
    assert direct.pitch_hz == pytest.approx(through.pitch_hz, rel=0.03)
    assert direct.seconds == pytest.approx(through.seconds, abs=0.5)


def _lenders(chain: Chain) -> tuple[tuple[Server, str], ...]:
    return (chain.back, "tone"), (chain.front, "lends/tone")


def _lent(server: Server, model: str, format_: str) -> Timbre:
    """The timbre in what a server says with a recording of espeak."""
    fields = {"model": model, "input": TEXT, "consent": "true", "response_format": format_}
    with server.client() as client:
        answer = client.post("/v1/audio/speech", data=fields, files={"reference_audio": wav()})
    assert answer.status_code == 200, answer.text
    assert _said(answer.content, format_) == SENTENCES
    (timbre,) = decode_timbres(*decoded(answer.content, format_))
    return timbre


def test_each_has_its_own_usage(chain: Chain) -> None:
    def rows(server: Server) -> int:
        with server.client() as client:
            answer: httpx2.Response = client.get("/v1/usage")
        return len(answer.json()["data"])

    before = (rows(chain.front), rows(chain.back))
    chain.spoken("tts-1", "mp3")
    assert (rows(chain.front), rows(chain.back)) == (before[0] + 1, before[1] + 1)


def test_what_was_spoken_is_heard_word_by_word_by_the_second_voxgate(chain: Chain) -> None:
    with chain.sdk(chain.front) as sdk:
        found = sdk.audio.transcriptions.create(
            model="whisper-1",
            file=("a.wav", chain.spoken("tts-1", "wav")),
            response_format="verbose_json",
            timestamp_granularities=["segment", "word"],
        )
    assert found.text.split() == TEXT.split()
    assert [segment.text.strip() for segment in found.segments or ()] == [*SENTENCES]
    words = list(found.words or ())
    assert [word.word for word in words] == TEXT.split()
    assert [word.start for word in words] == sorted(word.start for word in words)
    assert words[-1].end <= found.duration
