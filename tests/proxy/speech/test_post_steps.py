"""What a route's post-step does to speech: another engine repeats it, while the first one still speaks."""

from __future__ import annotations

from pathlib import Path

import pytest

from plugins.tone.decode import decode
from proxy.ledger import verify
from tests.proxy.api.inside import inside
from tests.sound import decoded

CONFIG = """
[server]
default_model = "tts-1"
[engines.tone]
hosted = false
[engines.second]
plugin = "tone"
hosted = false
voices = ["anna"]
level_db = -12
[engines.rough]
plugin = "tone"
hosted = false
sample_rate_hz = 16000
[models]
tts-1 = ["tone/standard"]
[voices.alloy]
tone = "tone"
rough = "tone"
[[routes]]
language = "en"
candidates = ["tone/standard"]
post = [{ engine = "second", voice = "anna" }]
[plans.small]
allowance = 1000
prices.speech = { credits = 120, per = "minute" }
prices.conversion = { credits = 60, per = "minute" }
"""
TEXT = "Say it in another voice."


async def test_the_words_arrive_as_loud_as_the_second_voice_is(tmp_path: Path) -> None:
    async with inside(tmp_path, CONFIG.split("[[routes]]")[0]) as server:
        plain = await server.speech(TEXT, language="en", response_format="wav")
    (tmp_path / "post").mkdir()
    async with inside(tmp_path / "post", CONFIG) as server:
        answer = await server.speech(TEXT, language="en", response_format="wav")
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-voxgate-engine"] == "tone/standard, second/standard"
    once, twice = decoded(plain.content, "wav"), decoded(answer.content, "wav")
    assert decode(*twice) == (TEXT,)
    assert twice.loudness == pytest.approx(once.loudness * 10 ** (-12 / 20), rel=0.01)
    assert len(twice.samples) == len(once.samples)


async def test_both_are_charged_and_the_row_names_both(tmp_path: Path) -> None:
    async with inside(tmp_path, CONFIG, plan="small") as server:
        answer = await server.speech(TEXT, language="en", response_format="pcm")
        assert answer.status_code == 200, answer.text
        (row,) = await server.usage()
        assert (row.engine, row.model, row.kind, row.outcome) == (
            "tone+second",
            "standard",
            "speech",
            "finished",
        )
        assert row.credits == -(-row.samples * 3_000_000 // row.sample_rate_hz)
        assert (await verify.verify(server.worker.store)).is_clean
