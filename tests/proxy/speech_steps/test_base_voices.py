"""An account's voice on engines that cannot speak it: they speak with a voice of their own, and another model
repeats that in the account's voice."""

from pathlib import Path
from typing import Any

import pytest

from proxy.features.admin import verify
from speech_engine import VoiceInfo
from tests.features.own_voices.trained_files import tone_voice
from tests.proxy.api.inside import Inside, inside
from tests.proxy.api.owning import agree
from tests.proxy.api.scripted import Scripted, spoken
from tests.replies import json_of

CONFIG = """
[cache]
on = true
[engines.one]
[engines.two]
[engines.tone]
hosted = false
[models]
tts-1 = ["one/m", "two/m"]
[voices.alloy]
one = "v"
[plans.free]
[plans.timed]
allowance = 1000
prices.speech = { credits = 60, per = "minute" }
prices.conversion = { credits = 30, per = "minute" }
[plans.lettered]
allowance = 1000
prices.speech = { credits = 1, per = "character" }
[plans.narrow]
engines = ["one", "two"]
"""


class Bilingual(Scripted):
    """Speaks with a woman and a man."""

    def voices(self) -> tuple[VoiceInfo, ...]:
        listed = (("anon", "pt", "female"), ("eve", "en", "female"), ("adam", "en", "male"))
        return tuple([VoiceInfo(id=id_, name=id_, language=tag, gender=sex) for id_, tag, sex in listed])


def engines() -> dict[str, Any]:
    return {"one": Bilingual(*spoken(0.5)), "two": Scripted(*spoken(0.5))}


async def bring(server: Inside, **fields: Any) -> dict[str, Any]:
    """Make a voice of a model that was trained elsewhere, for tone."""
    consent = await agree(server, uses=fields.pop("uses", ["speech"]))
    data = {"format": "tone", "name": "Ana", "consent": consent["id"], **fields}
    async with server.client() as client:
        return json_of(await client.post("/v1/audio/voice_models", data=data, files={"file": tone_voice()}))


async def test_a_trained_voice_speaks_by_the_engines_of_the_server(tmp_path: Path) -> None:
    asked = engines()
    async with inside(tmp_path, CONFIG, asked, "timed") as server:
        await bring(server, gender="male")
        answer = await server.speech(voice="Ana", language="en", response_format="pcm")
        assert answer.status_code == 200, answer.text
        assert answer.headers["x-voxgate-engine"] == "one/m, tone/standard"
        assert answer.headers["x-voxgate-voice-from"] == "one/adam"
        (row,) = await server.usage()
        assert (row.engine, row.model) == ("one+tone", "m+standard")
        seconds = len(answer.content) / 2 / 24_000
        assert row.credits == pytest.approx(1_500_000 * seconds, abs=2)
        told = (await server.speech(voice="Ana", language="pt", response_format="json")).json()
        assert (told["voice_base"], told["model_used"]) == ("one/anon", "one/m, tone/standard")
        plain = await server.speech(language="en")
        assert "x-voxgate-voice-from" not in plain.headers
        assert (await verify.verify(server.worker.store)).is_clean
