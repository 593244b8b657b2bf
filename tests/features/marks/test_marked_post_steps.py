"""A mark comes after the post-step of a route: in the sound that is heard, and once."""

from pathlib import Path

from tests.features.marks.marks import hum, hums
from tests.features.own_voices.trained_files import tone_voice
from tests.proxy.api.inside import inside
from tests.proxy.api.scripted import Scripted, spoken
from tests.proxy.speech_steps.repeating import Repeating
from tests.sound import decoded
from tests.tables import each_row

CONFIG = """
[marking]
mark = "hum"
[engines.one]
[engines.rvc]
[models]
m = ["one/m"]
[voices.ana]
one = "v"
[[routes]]
language = "en"
post = [{ engine = "rvc", voice = "v" }]
"""


@each_row(
    ("one_is_speech", "rvc_is_speech", "times"),
    [(True, True, 1), (True, False, 1), (False, True, 1), (False, False, 0)],
)
async def test_an_answer_is_marked_once_if_either_engine_is_due(
    tmp_path: Path, one_is_speech: bool, rvc_is_speech: bool, times: int
) -> None:
    engines = {
        "one": Scripted(*spoken(0.6), is_speech=one_is_speech),
        "rvc": Repeating(is_speech=rvc_is_speech),
    }
    async with inside(tmp_path, CONFIG, engines, more={("mark", "hum"): hum()}) as server:
        body = {"model": "m", "voice": "ana", "input": "Hello.", "language": "en", "response_format": "pcm"}
        answer = await server.ask("POST", "/v1/audio/speech", body=body)
    assert answer.headers["x-voxgate-engine"] == "one/m, rvc/m"
    assert hums(decoded(answer.content, "pcm")) == times
    assert ("x-voxgate-mark" in answer.headers) is bool(times)


TRAINED = """
[marking]
mark = "hum"
[engines.one]
[engines.rvc]
marking = {rule}
[models]
m = ["one/m"]
[plans.waived]
consent = "waived"
"""


@each_row(
    ("one_is_speech", "is_local", "rule", "times"), [(True, True, "false", 0), (False, False, "true", 1)]
)
async def test_the_rule_of_the_model_that_repeats_a_base_voice_decides(
    tmp_path: Path, one_is_speech: bool, is_local: bool, rule: str, times: int
) -> None:
    one = Scripted(*spoken(0.6), is_speech=one_is_speech, is_local=is_local)
    engines = {"one": one, "rvc": Repeating(speaks=False, trained_format="tone")}
    (folder := tmp_path / rule).mkdir()
    config = TRAINED.format(rule=rule)
    async with inside(folder, config, engines, "waived", more={("mark", "hum"): hum()}) as server:
        async with server.client() as client:
            fields = {"name": "Ana", "format": "tone"}
            made = await client.post("/v1/audio/voice_models", data=fields, files={"file": tone_voice()})
            assert made.status_code == 200, made.text
        body = {"model": "m", "voice": "Ana", "input": "Hello.", "language": "en", "response_format": "pcm"}
        answer = await server.ask("POST", "/v1/audio/speech", body=body)
    assert answer.headers["x-voxgate-engine"] == "one/m, rvc/m"
    assert hums(decoded(answer.content, "pcm")) == times
    assert ("x-voxgate-mark" in answer.headers) is bool(times)
