"""Rates, bit rates and G.711 from a real server: the words, the headers, the books, the cache."""

import secrets
from typing import Any

import httpx2
import pytest

from plugins.tone.decode import decode
from proxy.audio.formats import AUDIO_FORMATS, MEDIA_TYPES
from tests.server import Server, live_server
from tests.sound import decoded
from tests.tables import soak

pytestmark = pytest.mark.slow

CONFIG = """
[server]
default_model = "low"
first_audio_s = 60
[cache]
[engines.low]
plugin = "tone"
voices = ["ana"]
slots = 8
[engines.high]
plugin = "tone"
voices = ["ben"]
sample_rate_hz = 48000
[models]
all = ["low/standard", "high/standard"]
[voices.ana]
low = "ana"
[voices.ben]
high = "ben"
[plans.metered]
allowance = 1000000
[plans.metered.prices]
speech = { credits = 60, per = "minute" }
cached = { credits = 60, per = "minute" }
"""
TEXT = "Good evening to you all. The sea is calm tonight."
WORDS = ("Good evening to you all.", "The sea is calm tonight.")
FORMS = [
    (name, rate_hz)
    for name, format_ in AUDIO_FORMATS.items()
    for rate_hz in (None, *sorted(set(format_.rates_hz)))
]
FEW_FORMS = [
    (name, rate_hz)
    for name, format_ in AUDIO_FORMATS.items()
    for rate_hz in (None, *sorted({min(format_.rates_hz), max(format_.rates_hz)}))
]
"""Each format as it comes and at its ends. `make soak` has the other rates."""

server = live_server(CONFIG)


@pytest.fixture
def key(server: Server) -> str:
    """Of a new account: the books may be read 60 times a minute."""
    return server.mint_key(f"metered-{secrets.token_hex(8)}", plan="metered").secret


def ask(server: Server, key: str, **more: object) -> httpx2.Response:
    body = {"model": "all", "voice": "ana", "input": TEXT, **more}
    with server.client(key, timeout=120.0) as client:
        return client.post("/v1/audio/speech", json=body)


def said(data: bytes, format_: str, rate_hz: int) -> tuple[str, ...]:
    return decode(*decoded(data, format_, rate_hz))


def row_of(server: Server, key: str, answer: httpx2.Response) -> dict[str, Any]:
    with server.client(key) as client:
        rows = client.get("/v1/usage?limit=100").raise_for_status().json()["data"]
    (row,) = [row for row in rows if row["id"] == answer.headers["x-request-id"]]
    return dict(row)


@pytest.mark.parametrize(
    ("name", "rate_hz"), [*FEW_FORMS, *soak(*(form for form in FORMS if form not in FEW_FORMS))]
)
def test_the_words_are_heard_at_every_rate_and_each_second_is_charged(
    server: Server, key: str, name: str, rate_hz: int | None
) -> None:
    answer = ask(server, key, response_format=name, sample_rate=rate_hz)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == MEDIA_TYPES[name]
    expected_hz = rate_hz or AUDIO_FORMATS[name].rates_hz[0]
    assert answer.headers["x-voxgate-sample-rate"] == str(expected_hz)
    if (name, rate_hz) != ("mp3", 8_000):
        # Its short blocks end at 3333 Hz at that rate, and the highest of tone's tones has 3500.
        assert said(answer.content, name, expected_hz) == WORDS
    row = row_of(server, key, answer)
    assert row["format"] == name
    usual = row_of(server, key, ask(server, key, response_format="pcm"))
    assert abs(row["audio_ms"] - usual["audio_ms"]) <= 1
    assert row["credits"] == pytest.approx(row["audio_ms"] / 1000, abs=0.002)
    if name in ("pcm", "wav", "g711_ulaw", "g711_alaw"):
        sound = decoded(answer.content, name, expected_hz)
        assert row["audio_ms"] == len(sound.samples) * 1000 // expected_hz


@pytest.mark.parametrize(("name", "rate_hz"), [("g711_ulaw", 8_000), ("pcm", 48_000), ("mp3", 16_000)])
def test_several_voices_meet_at_the_rate_of_the_answer(
    server: Server, key: str, name: str, rate_hz: int
) -> None:
    """One voice speaks at 24 kHz and the other at 48."""
    text = "[Ana] Good evening to you all. [Ben] The sea is calm tonight."
    cast = {"cast": {"Ana": "ana", "Ben": "ben"}}
    answer = ask(server, key, input=text, voice=cast, response_format=name, sample_rate=rate_hz)
    assert answer.status_code == 200, answer.text
    assert said(answer.content, name, rate_hz) == WORDS
    words = ask(server, key, input=text, voice=cast, response_format="json", audio_format="pcm").json()
    at_rate = ask(
        server, key, input=text, voice=cast, response_format="json", audio_format="pcm", sample_rate=rate_hz
    ).json()
    assert [each["start_seconds"] for each in at_rate["words"]] == pytest.approx(
        [each["start_seconds"] for each in words["words"]], abs=0.002
    )
    assert row_of(server, key, answer)["audio_ms"] == pytest.approx(1000 * at_rate["duration_seconds"], abs=2)


def test_each_form_has_a_clip_of_its_own_and_the_same_one_twice(server: Server, key: str) -> None:
    forms: list[dict[str, Any]] = [
        {"response_format": "pcm"},
        {"response_format": "pcm", "sample_rate": 8_000},
        {"response_format": "g711_ulaw"},
        {"response_format": "mp3"},
        {"response_format": "mp3", "bitrate": 128},
        {"response_format": "mp3", "bitrate": 128, "sample_rate": 48_000},
    ]
    for state in ("miss", "hit"):
        answers = [ask(server, key, cache=True, **form) for form in forms]
        assert [each.headers["x-voxgate-cache"] for each in answers] == [state] * len(forms)
        assert len({each.content for each in answers}) == len(forms)
        seconds = [row_of(server, key, each)["audio_ms"] for each in answers]
        assert max(seconds) - min(seconds) <= 1
    # What names the usual form has its clip.
    same = ask(server, key, cache=True, response_format="g711_ulaw", sample_rate=8_000)
    assert same.headers["x-voxgate-cache"] == "hit"
    assert same.headers["x-voxgate-sample-rate"] == "8000"
