"""The header that names a voice which stands for another one."""

from pathlib import Path

from speech_engine import EngineFailed
from tests.proxy.api.inside import inside
from tests.proxy.api.scripted import Scripted, spoken

CONFIG = """
[engines.one]
[engines.two]
[models]
both = ["one/m", "two/m"]
[voices.ana]
one = "v"
two = "v"
"""


def body(model: str, voice: str) -> dict[str, object]:
    return {"model": model, "voice": voice, "input": "Hello there.", "response_format": "pcm", "cache": True}


async def test_only_an_answer_in_another_voice_says_which(tmp_path: Path) -> None:
    one = Scripted(*spoken(0.5), substitutes=(("v", "vera"),))
    two = Scripted(*spoken(0.5))
    async with inside(tmp_path, CONFIG, {"one": one, "two": two}) as server:
        for model, voice, said in (
            ("both", "ana", "vera"),
            ("two/m", "ana", None),
            # From the cache, too.
            ("both", "ana", "vera"),
        ):
            answer = await server.ask("POST", "/v1/audio/speech", body=body(model, voice))
            assert answer.headers["x-voxgate-voice"] == voice, answer.text
            assert answer.headers.get("x-voxgate-substitute") == said


async def test_the_one_that_did_not_speak_says_nothing(tmp_path: Path) -> None:
    one = Scripted(EngineFailed("x"), substitutes=(("v", "vera"),))
    two = Scripted(*spoken(0.5))
    async with inside(tmp_path, CONFIG, {"one": one, "two": two}) as server:
        answer = await server.ask("POST", "/v1/audio/speech", body=body("both", "ana"))
        assert (answer.headers["x-voxgate-engine"], "x-voxgate-substitute" in answer.headers) == (
            "two/m",
            False,
        )
