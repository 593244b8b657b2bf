"""Checked speech as clients get it: an engine that says other words, and ears that hear them."""

from pathlib import Path
from typing import Any

from proxy.features.heard.rates import MisheardRates
from speech_engine import Audio, Event, Finished, Started
from tests.features.heard.test_checked_parts import PAID, Rehearsed
from tests.proxy.api.inside import Inside, inside
from tests.proxy.api.scripted import RATE_HZ
from tests.tones import tones

CONFIG = PAID.replace("[engines.two]", "[engines.tone]\nhosted = false\nhears = true").replace(
    'all = ["one/m", "two/m"]', 'all = ["one/m"]'
)
TEXT, LOST = "The boat leaves the harbour today.", "The boat leaves harbour today."


def says(text: str) -> list[Event]:
    pcm, size = tones(text, RATE_HZ), RATE_HZ // 10 * 2
    pieces = [pcm[at : at + size] for at in range(0, len(pcm), size)]
    return [Started(RATE_HZ), *(Audio(0, piece) for piece in pieces), Finished()]


async def ask(server: Inside, text: str = TEXT, **more: Any) -> dict[str, Any]:
    body = {"model": "all", "voice": "ana", "input": text, "response_format": "json", "check": "heard"}
    answer = await server.ask("POST", "/v1/audio/speech", body={**body, "audio_format": "pcm", **more})
    assert answer.status_code == 200, answer.text
    check: dict[str, Any] = answer.json()["check"]
    return check


async def test_wrong_words_are_said_again_named_and_free(tmp_path: Path) -> None:
    one = Rehearsed(says(TEXT), says(LOST), says(TEXT), says(LOST))
    async with inside(tmp_path, CONFIG, {"one": one}, plan="paid") as server:
        right = await ask(server)
        assert (right["again"], right["unchecked_s"]) == (0, 0.0)
        again = await ask(server)
        assert (again["again"], again["wrong"]) == (1, [])
        wrong = await ask(server)
        assert wrong["wrong"] == [{"start": 16, "end": 19, "wanted": "the", "heard": ""}]
        assert wrong["free_s"] == wrong["checked_s"] > 0
        credits = [row.credits for row in await server.usage()]
        assert sorted(credits)[0] == 0 < sorted(credits)[1]
        rates = server.worker.open_features.context.find(MisheardRates)
        await rates.write_counts()
        (rate,) = await rates.of_models()
        assert (rate.words, rate.engine, rate.recogniser) == (6 * len(one.jobs), "one", "tone/ears")
        (row,) = await server.worker.store.read("SELECT wrong, again FROM heard_rates")
        assert (row["wrong"], row["again"]) == (1 + 2, 1 + len(one.jobs) - 4)
