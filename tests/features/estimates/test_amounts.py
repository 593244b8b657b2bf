"""What an estimate says is what speech then holds, and an estimate holds, writes and counts nothing."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from proxy.access.admission import MOST_A_MINUTE
from tests.proxy.api.inside import Inside, envelope, inside
from tests.proxy.api.scripted import Halt, Scripted, spoken
from tests.replies import json_of
from tests.tables import each_row

pytestmark = pytest.mark.slow

ESTIMATE, SPEECH = "/v1/audio/speech/estimate", "/v1/audio/speech"
CONFIG = """
[server]
default_model = "both"
[engines.one]
[engines.two]
[models]
both = ["one/m", "two/m"]
[voices.ana]
one = "v"
two = "v"
[voices.ben]
two = "v"
[[routes]]
language = "th"
candidates = ["two/m", "one/m"]
sentences = true
[[routes]]
language = "en"
candidates = ["one/m", "two/m"]
sentences = true
[plans.free]
allowance = 100000
rpm = 10
[plans.minute]
allowance = 100000
[plans.minute.prices]
speech = { credits = 60, per = "minute" }
[plans.character]
allowance = 100000
[plans.character.prices]
speech = { credits = 1, per = "character" }
models."two/m" = { credits = 1, per = "character" }
[plans.mixed]
allowance = 100000
[plans.mixed.prices]
speech = { credits = 2.5, per = "minute" }
models."two/m" = { credits = 0.25, per = "character" }
"""
TEXTS = (
    "Hello there.",
    "A text that is long enough to be a sentence or two. " * 8,
    "They paid 1234567.89 USD on 2026-03-01, which is 14 % of 3/4.",
    "0123456789 " * 20,
    "nginx and SQL run on k8s; nginx again.",
    "สวัสดีครับ ราคา 1,250 บาท วันที่ 3 มีนาคม 2567",
    "Good morning. สวัสดีครับ ยินดีต้อนรับ. Let us begin with nginx.",
    "ภาษาไทย [happy] ดีใจจัง [sad] เสียใจ",
    "[happy] Yes! [sad] No. [neutral] Well, [whisper] 42.",
    "[Ana] Have you seen 3 seas? [Ben] Only [happy] 1 lake. [Ana] สวัสดีครับ 99.",
    "[Ana] [happy] nginx! [Ben] SQL? [Ana] k8s.",
    "**Bold** and `code` with [a link](https://example.com/a?b=1).",
    "# Title\n\n- one\n- 2\n- three",
    "Ünïcödé ©® ½ — “quoted” … and 100 km²",
    "今日は 12 時です。",
    "Olá, são 15h30 e custa R$ 10,50.",
    # Where a front-end writes the number out, more of what the lexicon adds is charged.
    "😀 k8s                12345",
    "a" * 4096,
    "It is 9:41. " * 300,
    "(1) one; (2) two; (3) 3.",
)
CAST = {"voice": {"cast": {"Ana": "ana", "Ben": "ben"}}, "speed": 1.5}
WORDS = {"lexicon": {"nginx": "engine x " * 6, "SQL": "sequel"}, "language": "auto", "emotion_tags": "text"}
REQUESTS: list[dict[str, Any]] = [
    {"model": "both", "voice": "ana", "input": text, "response_format": "pcm", **more}
    for text in TEXTS
    for more in ({}, CAST, WORDS)
]


class Held:
    """Two engines, of which each job notes what its account holds while it is spoken."""

    def __init__(self) -> None:
        self.server: Inside | None = None
        self.amounts: set[float] = set()
        self.engines = {
            "one": Scripted(self._note, *spoken(0.1), emotions=("happy",), reads_numbers=False),
            "two": Scripted(self._note, *spoken(0.1)),
        }

    async def _note(self) -> None:
        assert self.server is not None
        credits = json_of(await self.server.ask("GET", "/v1/me"))["credits"]
        self.amounts.add(round(credits["allowance"] - credits["used"] - credits["left"], 6))

    async def speaking(self, body: dict[str, Any]) -> float:
        assert self.server is not None
        self.amounts.clear()
        answer = await self.server.ask("POST", SPEECH, body=body)
        assert answer.status_code == 200, answer.text
        (amount,) = self.amounts
        return amount

    @property
    def jobs(self) -> int:
        return sum(len(engine.jobs) for engine in self.engines.values())


async def estimate(server: Inside, body: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = json_of(await server.ask("POST", ESTIMATE, body=body))
    return found


@each_row("plan", ["minute", "character", "mixed"])
async def test_the_estimate_of_sixty_texts_is_what_is_then_held(tmp_path: Path, plan: str) -> None:
    held, wrong = Held(), []
    async with inside(tmp_path, CONFIG, held.engines, plan) as held.server:
        for tag, words in (("en", {"k8s": "kubernetes of our own"}), ("th", {"บาท": "บาทไทย"})):
            await held.server.ask("PUT", f"/v1/lexicons/{tag}", body={"words": words})
        for body in REQUESTS:
            expected = await estimate(held.server, body)
            amount = await held.speaking(body)
            same = {"minute": expected["seconds"], "character": expected["characters"]}
            if expected["credits"] != amount or abs(same.get(plan, amount) - amount) > 0.001:
                wrong.append((body["input"][:20], expected, amount))
        rows = await held.server.usage()
    assert len(REQUESTS) == 60
    assert wrong == []
    assert max(row.credits for row in rows) > 0


async def test_a_hundred_estimates_leave_the_ten_requests_of_a_free_plan(tmp_path: Path) -> None:
    held = Held()
    async with inside(tmp_path, CONFIG, held.engines, "free") as held.server:
        before = json_of(await held.server.ask("GET", "/v1/me"))
        for body in [*REQUESTS, *REQUESTS[:40]]:
            assert (await estimate(held.server, body))["available"] == 100000
        assert json_of(await held.server.ask("GET", "/v1/me")) == before
        assert held.jobs == 0
        assert await held.server.usage() == []
        answers = [await held.server.speech(model="both", voice="ana") for _ in range(11)]
        assert [answer.status_code for answer in answers] == [200] * 10 + [429]
        # The streams and requests that speech has used up are no matter here.
        await estimate(held.server, REQUESTS[0])


async def test_estimates_have_a_limit_of_their_own(tmp_path: Path) -> None:
    async with inside(tmp_path, CONFIG, Held().engines) as server:
        answers = [await server.ask("POST", ESTIMATE, body=REQUESTS[0]) for _ in range(121)]
        assert [answer.status_code for answer in answers] == [200] * MOST_A_MINUTE["estimate"] + [429]
        error = envelope(answers[-1])
        assert error["code"] == "rate_limit_exceeded"
        assert "120 requests a minute of the class 'estimate'" in error["message"]
        assert (await server.ask("GET", "/v1/me")).status_code == 200


async def test_a_text_that_cannot_be_paid_is_refused_as_speech_refuses_it(tmp_path: Path) -> None:
    poor = CONFIG.replace("[plans.minute]\nallowance = 100000", "[plans.minute]\nallowance = 3")
    async with inside(tmp_path, poor + "[cache]\non = true\n", Held().engines, "minute") as server:
        dear = {**REQUESTS[3], "cache": False}
        refusals = [await server.ask("POST", path, body=dear) for path in (ESTIMATE, SPEECH)]
        assert [answer.status_code for answer in refusals] == [429, 429]
        errors = [envelope(answer) for answer in refusals]
        assert errors[0] == errors[1]
        assert errors[0]["code"] == "insufficient_quota"
        # The cache may answer for less.
        from_cache = await estimate(server, {**dear, "cache": True})
        assert from_cache["credits"] > from_cache["available"] == 3


async def test_streams_under_way_refuse_speech_alone(tmp_path: Path) -> None:
    halt = Halt()
    text = CONFIG.replace("[plans.minute]", "[plans.minute]\nstreams = 1")
    engines = {"one": Scripted(halt, *spoken(0.1)), "two": Scripted(*spoken(0.1))}
    async with inside(tmp_path, text, engines, "minute") as server, asyncio.timeout(20):
        speaking = asyncio.create_task(server.ask("POST", SPEECH, body=REQUESTS[0]))
        await halt.is_there.wait()
        available = (await estimate(server, REQUESTS[0]))["available"]
        assert (await server.ask("POST", SPEECH, body=REQUESTS[0])).status_code == 429
        halt.goes_on.set()
        assert (await speaking).status_code == 200
    assert available < 100000
