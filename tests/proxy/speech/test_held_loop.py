"""No text, lexicon, sound or report of one account holds the loop for the others."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from proxy.storage import usage
from proxy.storage.usage import UsageRow
from tests.proxy.api.inside import Inside, inside
from tests.proxy.api.scripted import Scripted, spoken
from tests.sound import decoded
from tests.tables import soak

pytestmark = pytest.mark.slow

CONFIG = """
[engines.one]
[models]
"tts-1" = ["one/m"]
[voices.ana]
one = "v"
"""

BEGINNING = "ก"
ALIKE = {f"{BEGINNING * (length - 1)}ข": "/a/" for length in range(3, 101)}
"""98 words of Thai, written without blanks, that begin alike."""
NESTED = {BEGINNING * length: "/a/" for length in range(3, 101)}
SPACED = {f"w {number}": "/abc/" for number in range(99)}
CAST = {"cast": {"A": "ana", "B": "ana"}}
TURNS = "[A] a [B] b " * 100


def said(characters: int, letter: str = BEGINNING) -> dict[str, str]:
    return {"a": letter * characters}


TEXTS: dict[str, tuple[str, dict[str, Any], int]] = {
    "299": ("a " * 149, {"lexicon": said(200) | ALIKE}, 200),
    "4095": ("a " * 2047, {"lexicon": said(200) | ALIKE}, 400),
    "60 letters": ("a " * 149, {"lexicon": said(60) | ALIKE}, 200),
    "below the bound": ("a " * 2047, {"lexicon": said(18) | ALIKE}, 200),
    "nested": ("a " * 149, {"lexicon": said(200) | NESTED}, 200),
    "marks": ("a " * 149, {"lexicon": said(100, "ก่") | NESTED}, 200),
    "cast": (TURNS, {"voice": CAST, "lexicon": SPACED}, 200),
    "long cast": (TURNS, {"voice": CAST, "lexicon": said(190) | SPACED}, 200),
}
"""A text, what is asked besides, and the status of its answer."""


async def test_a_lexicon_holds_nobody_up(tmp_path: Path, subtests: pytest.Subtests) -> None:
    async with inside(tmp_path, CONFIG, {"one": Scripted(*spoken(0.5), phonemes=("ipa",))}) as server:
        saved = {f"word {number} {'x' * 80}": f"/{'a' * 190}/" for number in range(1000)}
        stored = await server.ask("PUT", "/v1/lexicons/en", body={"words": saved})
        assert stored.status_code == 200, stored.text
        for name, (text, more, status) in TEXTS.items():
            with subtests.test(name):
                body = {"model": "tts-1", "voice": "ana", "input": text, "language": "en", **more}
                answer = await server.ask("POST", "/v1/audio/speech", body={"response_format": "pcm", **body})
                assert answer.status_code == status, answer.text


@pytest.mark.parametrize("seconds", [20.0, *soak(60.0)])
async def test_sound_that_is_ready_is_encoded_in_turns(tmp_path: Path, seconds: float) -> None:
    async with inside(tmp_path, CONFIG, {"one": Scripted(*spoken(seconds))}) as server:
        answer = await server.speech("word " * 300, voice="ana", language="en")
    assert answer.status_code == 200, answer.text
    assert abs(decoded(answer.content, "mp3").seconds - seconds) < 1


@pytest.mark.parametrize("sums", [4_000, *soak(20_000)])
async def test_a_lexicon_is_checked_and_a_report_of_many_sums_written_without_a_stop(
    tmp_path: Path, sums: int
) -> None:
    async with inside(tmp_path, CONFIG, {"one": Scripted(*spoken(0.5))}) as server:
        accents = "e\u0301\u200d" * 30
        words = {f"{number} {accents}": accents * 2 for number in range(1000)}
        stored = await server.ask("PUT", "/v1/lexicons/pt", body={"words": words})
        assert stored.status_code == 200, stored.text
        for first in range(0, sums, 1000):
            rows = [row(server, number) for number in range(first, first + 1000)]
            await server.worker.store.write(*map(usage.insert_statement, rows))
        report = await server.ask("GET", "/v1/usage?by=voice&format=csv&since=2026-01-01")
        assert len(report.text.splitlines()) == sums + 1
        described = await server.ask("GET", "/openapi.json")
        assert described.status_code == 200


THAI = """
[[routes]]
language = "th"
candidates = ["one/m"]
front_end = "pythainlp"
"""
NESTED_JSON = b'{"words": {"a": "b"}, "x": [' + b",".join([b'{"a": []}'] * 200_000) + b"]}"


async def test_no_text_or_body_holds_the_loop_from_another_thread(tmp_path: Path) -> None:
    async with inside(tmp_path, CONFIG + THAI, {"one": Scripted(*spoken(0.5))}) as server:
        for signs in ("…" * 4080, "?!" * 2040):
            answer = await server.speech(f"สวัสดี {signs}x", voice="ana", language="th")
            assert answer.status_code == 200, answer.text

        async def put() -> int:
            async with server.client() as client:
                return (await client.put("/v1/lexicons/pt", content=NESTED_JSON)).status_code

        assert {*await asyncio.gather(*(put() for _ in range(7)))} == {200}


def row(server: Inside, number: int) -> UsageRow:
    """One of many requests, each with a voice of its own."""
    return UsageRow(
        id=f"req_{number:08x}",
        account=server.account.id,
        key="key_1",
        started=1_790_000_000_000_000 + number,
        engine="one",
        model="m",
        voice=f"voice number {number}",
        language="en",
        characters=10,
        samples=24_000,
        sample_rate_hz=24_000,
        format="mp3",
        outcome="finished",
        credits=123_456,
    )
