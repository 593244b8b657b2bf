"""Nobody hears for nothing, and nobody pays for silence: every engine in every situation and in every form.

All three in every combination: `make soak`.

What is charged is at least what was received. When an answer was cut, it is at most that and what the sockets
hold: 128 KiB and a chunk, in seconds of the format.
"""

import base64
import io
import itertools
import json
import math
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, NamedTuple

import av
import httpx2
import pytest

from policies import estimate
from proxy.audio.formats import OUTPUT_RATE_HZ, SAMPLE_BYTES
from tests.faults.clouds import ENVIRON, clouds
from tests.faults.plugin_folders import environ, install
from tests.faults.tone_clouds import BABBLE
from tests.server import Server, running
from tests.sound import PADDING_S, decoded
from tests.tables import soak
from tests.waiting import until

pytestmark = pytest.mark.slow

SITUATIONS = ("plain", "cast", "auto", "lexicon", "cap", "leave", "slow", "idempotency", "cache")
"""`plain` is passed through for the upstream: its formats are the client's."""
ENGINES = ("espeak", "tone", "upstream")
FORMS = ("mp3", "opus", "aac", "flac", "wav", "pcm", "g711_ulaw", "sse")

RECEIVE_BUFFER = 16 * 1024
IN_SOCKETS_BYTES = 128 * 1024
CHUNK_S = 1.0
STALL_S = 2.0
ROUNDING_S = 0.05

SENTENCE = "Word after word after word, and so it goes on. "
SHORT, LONG = SENTENCE * 2, SENTENCE * 30
TURNS = "[Ana] Good morning to you all. [Ben] And good morning to you. [Ana] Shall we begin?"
LANGUAGES = "Good morning to you, my friends. Bom dia para todos vocês, meus amigos. Let us begin the day."
QUOTES = "A " + "» " * 60
"""The Polish voice names each quotation mark that stands alone, for longer than one character lets expect."""

CONFIG = """
[server]
default_model = "m-tone"
stall_s = {stall_s}
first_audio_s = 40
[cache]
[engines.espeak]
processes = 2
[engines.tone]
voices = ["tone", "second"]
slots = 8
[engines.babbler]
[engines.upstream]
plugin = "openai"
api_key = "env:FAKE_OPENAI_KEY"
base_url = "{url}"
models = ["gpt-4o-mini-tts"]
voices = ["alloy"]
concurrency = 32
[models]
m-espeak = ["espeak/standard"]
m-tone = ["tone/standard"]
m-upstream = ["upstream/gpt-4o-mini-tts"]
[voices.ana]
espeak = "f3"
tone = "tone"
babbler = "any"
upstream = "alloy"
[voices.ben]
espeak = "m3"
tone = "second"
upstream = "alloy"
[[routes]]
language = "en"
sentences = true
[[routes]]
language = "pt"
sentences = true
[plans.metered]
allowance = 10000000
[plans.metered.prices]
speech = {{ credits = 1, per = "second" }}
cached = {{ credits = 1, per = "second" }}
"""
BABBLER = """
from contextlib import asynccontextmanager
import msgspec
import speech_engine as se

class Settings(msgspec.Struct, forbid_unknown_fields=True):
    pass

class Babbler:
    slots = 8

    def models(self):
        languages = (se.Language(se.ANY_LANGUAGE),)
        return (se.ModelInfo(id="standard", languages=languages, sample_rate_hz=24_000),)

    def voices(self):
        return (se.VoiceInfo(id="any", name="Any"),)

    async def speak(self, job):
        yield se.Started(24_000)
        for _ in range(600):
            yield se.Audio(0, bytes(48_000))
        yield se.Finished()

@asynccontextmanager
async def create(name, settings, context):
    yield Babbler()

def voxgate_register():
    return (se.Plugin(kind="engine", name="babbler", settings=Settings, create=create),)
"""


class Cell(NamedTuple):
    situation: str
    engine: str
    form: str

    @property
    def name(self) -> str:
        return "-".join(self)

    @property
    def format(self) -> str:
        return "pcm" if self.form == "sse" else self.form

    def body(self) -> dict[str, Any]:
        body: dict[str, Any] = {"model": f"m-{self.engine}", "voice": "ana", "response_format": self.format}
        if self.form == "sse":
            body["stream_format"] = "sse"
        match self.situation:
            case "cast":
                return body | {"voice": {"cast": {"Ana": "ana", "Ben": "ben"}}, "input": TURNS}
            case "auto":
                return body | {"language": "auto", "input": LANGUAGES}
            case "lexicon":
                return body | {"input": SHORT, "lexicon": {"word": "a word that is much longer than it was"}}
            case "cap" if self.engine == "tone":
                return body | {"input": BABBLE, "model": "babbler/standard"}
            case "cap" if self.engine == "espeak":
                return body | {"input": QUOTES, "language": "pl"}
            case "cap":
                return body | {"input": BABBLE}
            case "leave" | "slow":
                return body | {"input": LONG}
            case "cache":
                # A text of its own: the cache is named by what is asked.
                return body | {"input": f"{SHORT} {self.name.replace('-', ' ')}", "cache": True}
        return body | {"input": SHORT}


class Heard(NamedTuple):
    """What a client received, and the requests that made it."""

    ids: tuple[str, ...]
    audio: bytes
    is_whole: bool


class Bill(NamedTuple):
    received_s: float
    charged_s: float
    most_s: float


CELLS = [Cell(*each) for each in itertools.product(SITUATIONS, ENGINES, FORMS)]
PAIRS = [
    Cell(situation, engine, FORMS[(row + column * 3) % len(FORMS)])
    for row, situation in enumerate(SITUATIONS)
    for column, engine in enumerate(ENGINES)
]
"""Every situation with every engine, and every form with every engine."""


def ask(server: Server, key: str, cell: Cell, headers: dict[str, str] | None = None) -> Heard:
    """Ask, and read until the answer ends or breaks off."""
    data, is_whole = b"", True
    with (
        server.client(key, timeout=60.0) as client,
        client.stream("POST", "/v1/audio/speech", content=json.dumps(cell.body()), headers=headers) as answer,
    ):
        if answer.status_code == 400 and cell.situation == "cap":
            return Heard((answer.headers["x-request-id"],), b"", is_whole=False)
        assert answer.status_code == 200, answer.read()
        try:
            for part in answer.iter_raw():
                data += part
        except httpx2.TransportError:
            is_whole = False
    audio, has_error = audio_of(cell, data)
    return Heard((answer.headers["x-request-id"],), audio, is_whole and not has_error)


def audio_of(cell: Cell, body: bytes) -> tuple[bytes, bool]:
    """The audio of an answer, which may be cut short, and whether it tells of an error."""
    if cell.form != "sse":
        return body, False
    audio, has_error = b"", False
    for line in body.split(b"\n"):
        if line.startswith(b"data: {") and line.endswith(b"}"):
            event = json.loads(line[6:])
            audio += base64.b64decode(event.get("audio", ""))
            has_error |= event["type"] == "error"
    return audio, has_error


class RawClient:
    """A client with a small receive buffer, which reads as it likes."""

    def __init__(self, server: Server, key: str, cell: Cell, headers: str = "") -> None:
        host, _, port = server.url.removeprefix("http://").partition(":")
        body = json.dumps(cell.body()).encode()
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        self._socket.settimeout(60.0)
        self._socket.connect((host, int(port)))
        head = f"POST /v1/audio/speech HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\n{headers}"
        self._socket.sendall(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
        self._received = b""

    def read(self, count: int) -> None:
        while len(self._received) < count and (part := self._socket.recv(4096)):
            self._received += part

    def read_rest(self) -> None:
        try:
            while part := self._socket.recv(65536):
                self._received += part
        except OSError:
            return

    def leave(self, cell: Cell) -> Heard:
        self._socket.close()
        head, _, body = self._received.partition(b"\r\n\r\n")
        lines = [line.partition(b": ") for line in head.split(b"\r\n")]
        if any(name.lower() == b"transfer-encoding" for name, _, _ in lines):
            body = without_chunks(body)
        (id_,) = [value.decode() for name, _, value in lines if name.lower() == b"x-request-id"]
        return Heard((id_,), audio_of(cell, body)[0], is_whole=False)


def without_chunks(body: bytes) -> bytes:
    """The content of a chunked body, which may be cut short."""
    content = b""
    while body:
        size, _, rest = body.partition(b"\r\n")
        if not size or not rest:
            break
        content += rest[: int(size, 16)]
        body = rest[int(size, 16) + 2 :]
    return content


def play(server: Server, key: str, cell: Cell) -> Heard:
    match cell.situation:
        case "leave":
            client = RawClient(server, key, cell)
            client.read(20_000)
            return client.leave(cell)
        case "slow":
            client = RawClient(server, key, cell)
            client.read(20_000)
            until(lambda: any(row["outcome"] != "finished" for row in rows_of(server, key).values()))
            client.read_rest()
            return client.leave(cell)
        case "idempotency":
            client = RawClient(server, key, cell, f"idempotency-key: {cell.name}\r\n")
            client.read(3_000)
            first = client.leave(cell)
            second = ask_until_kept(server, key, cell)
            return Heard((*first.ids, *second.ids), second.audio, second.is_whole)
        case "cache":
            first = ask(server, key, cell)
            second = ask(server, key, cell)
            # Both were heard. The second has its own id and its own charge.
            return Heard((*first.ids, *second.ids), first.audio + second.audio, is_whole=True)
    return ask(server, key, cell)


def ask_until_kept(server: Server, key: str, cell: Cell) -> Heard:
    """Ask again with the same key until the first answer is there."""
    heard: list[Heard] = []

    def is_there() -> bool:
        try:
            heard.append(ask(server, key, cell, {"idempotency-key": cell.name}))
        except AssertionError:
            return False  # 409: the first try is under way
        return True

    until(is_there)
    return heard[0]


def rows_of(server: Server, key: str) -> dict[str, dict[str, Any]]:
    with server.client(key) as client:
        rows = client.get("/v1/usage?limit=100").raise_for_status().json()["data"]
    return {row["id"]: row for row in rows}


def seconds_of(audio: bytes, format_: str, *, is_whole: bool) -> float:
    if format_ == "pcm" or (format_ == "wav" and not is_whole):
        return max(0, len(audio) - (44 if format_ == "wav" else 0)) / (OUTPUT_RATE_HZ * SAMPLE_BYTES)
    if is_whole or format_ == "g711_ulaw":
        return decoded(audio, format_).seconds
    samples = 0
    with suppress(av.error.FFmpegError), av.open(io.BytesIO(audio), "r") as container:
        rate_hz = container.streams.audio[0].rate
        # All that comes before the place where it is cut.
        for frame in container.decode(audio=0):
            samples += frame.samples
    return samples / rate_hz if samples else 0.0


def bill(server: Server, cell: Cell) -> Bill:
    """Let an account of its own play a cell, and read its bill."""
    key = server.mint_key(cell.name, plan="metered").secret
    heard = play(server, key, cell)
    until(lambda: bool(rows_of(server, key).keys() & set(heard.ids)))
    rows = rows_of(server, key)
    charged_s = sum(row["credits"] for row in rows.values())
    if cell.situation == "cache" and cell.format in ("flac", "wav", "aac", "opus"):
        half = len(heard.audio) // 2
        received_s = 2 * seconds_of(heard.audio[:half], cell.format, is_whole=True)
    else:
        received_s = seconds_of(heard.audio, cell.format, is_whole=heard.is_whole)
    if heard.is_whole:
        return Bill(received_s, charged_s, received_s + ROUNDING_S)
    if cell.engine == "upstream" and cell.situation in ("leave", "slow"):
        # Its provider bills for the whole text as soon as it has it, so a leaver pays for the whole text.
        return Bill(received_s, charged_s, estimate.speech_seconds(LONG, 1.0) + ROUNDING_S)
    a_second = max(1, len(heard.audio)) / max(received_s, 0.1) * (4 / 3 if cell.form == "sse" else 1)
    return Bill(received_s, charged_s, received_s + IN_SOCKETS_BYTES / a_second + CHUNK_S)


@pytest.fixture(scope="module", params=[PAIRS, *soak((CELLS,))], ids=["pairs", "all"])
def bills(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[Cell, Bill | Exception]]:
    cells: list[Cell] = request.param
    plugins, folder = tmp_path_factory.mktemp("plugins"), tmp_path_factory.mktemp("server")
    install(plugins, "babbler", BABBLER)
    with clouds() as providers:
        config = CONFIG.format(url=providers.url("upstream", "openai"), stall_s=STALL_S)
        with (
            running(folder, config, environ=environ(plugins) | ENVIRON) as server,
            ThreadPoolExecutor(5) as pool,
        ):

            def settle(cell: Cell) -> Bill | Exception:
                try:
                    return bill(server, cell)
                except Exception as error:  # noqa: BLE001 - the cell's own test raises it
                    return error

            yield dict(zip(cells, pool.map(settle, cells), strict=True))


def test_an_engine_meets_every_situation_and_every_form() -> None:
    pairs = [{(cell[one], cell[other]) for cell in PAIRS} for one, other in ((0, 1), (1, 2))]
    assert [len(each) for each in pairs] == [9 * 3, 3 * 8]


def test_what_is_received_is_charged_and_little_more(
    bills: dict[Cell, Bill | Exception], subtests: pytest.Subtests
) -> None:
    for cell, found in bills.items():
        with subtests.test(cell.name):
            if isinstance(found, Exception):
                raise found
            received_s = found.received_s - PADDING_S[cell.format] * (2 if cell.situation == "cache" else 1)
            # A WAV of known size is sent whole or not at all.
            assert found.received_s > 0.2 or (cell.situation, cell.form) == ("cap", "wav")
            assert math.floor(received_s * 10) / 10 - ROUNDING_S <= found.charged_s <= found.most_s
