"""A mark comes after the post-step of a route: in the sound that is heard, and once."""

from pathlib import Path

from tests.features.marks.marks import hum, hums
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
