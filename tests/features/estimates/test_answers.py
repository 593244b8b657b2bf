"""What an estimate says of a request, which is what the headers of its answer would say; and its refusals."""

import json
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import httpx2
import pytest

from speech_engine import EngineFailed, EngineUnauthorized, Language, share_voices
from speech_engine.host.messages import HealthReport
from tests.features.estimates.test_amounts import ESTIMATE, SPEECH, estimate
from tests.proxy.api.inside import Inside, envelope, inside
from tests.proxy.api.scripted import Scripted, spoken
from tests.proxy.api.test_known_names import Speakers, plugin, voice
from tests.proxy.api.test_preferred_voice import prefer
from tests.tables import each_row

CONFIG = """
[server]
default_model = "both"
fill_missing = true
default_voice = "ana"
robot_fallback = true
[engines.good]
[engines.robot]
[engines.other]
[models]
both = ["good/m", "robot/m"]
[voices.ana]
good = "v"
robot = "v"
[voices.ben]
robot = "v"
[voices.eva]
other = "v"
[plans.small]
max_characters = 300
engines = ["good"]
"""
SECRET = "my secret <script>alert(1)</script>"


def engines() -> dict[str, Scripted]:
    return {
        "good": Scripted(
            *spoken(0.1), emotions=("happy", "sad"), pitch=(-6.0, 3.0), max_instructions=50, seeds=True
        ),
        "robot": Scripted(*spoken(0.1), emotions=("sad",), pitch=(-12.0, 12.0), is_trained=False),
        "other": Scripted(*spoken(0.1), substitutes=(("v", "vera"),), languages=(Language("pt"),)),
    }


def body(**fields: Any) -> dict[str, Any]:
    sent = {"model": "both", "voice": "ana", "input": SECRET, "response_format": "pcm", **fields}
    return {name: value for name, value in sent.items() if value is not None}


CAST = {"cast": {"Ana": "ana", "Ben": "ben"}}
GOOD = {"pitch": [-6, 3], "emotions": ["happy", "sad"], "instructions": 50, "seed": True}
ROBOT = {"pitch": [-12, 12], "emotions": ["sad"], "instructions": 0, "seed": False}
BOTH = {"pitch": [-6, 3], "emotions": ["sad"], "instructions": 0, "seed": False}


@each_row(
    "fields, model, is_trained, controls",
    [
        ({}, "good/m", True, GOOD),
        ({"model": None, "voice": None}, "good/m", True, GOOD),
        ({"voice": "ben"}, "robot/m", False, ROBOT),
        ({"pitch": 10}, "good/m", True, GOOD),
        ({"pitch": 10, "model": "robot/m"}, "robot/m", False, ROBOT),
        ({"voice": CAST, "input": "[Ana] Hi. [Ben] Hello."}, "good/m, robot/m", False, BOTH),
        ({"instructions": "Slowly."}, "good/m", True, GOOD),
        ({"instructions": "x" * 51}, "robot/m", False, ROBOT),
        ({"model": "other", "voice": "eva", "language": "pt"}, "other/m", True, None),
        ({"input": "[happy] Hi. [bored] Oh."}, "good/m", True, GOOD),
        ({"voice": "ben", "input": "[happy] Hi. [sad] Oh. [happy] So. [calm] No."}, "robot/m", False, ROBOT),
        ({"voice": "ben", "input": "[happy] Hi.", "emotion_tags": "text"}, "robot/m", False, ROBOT),
        ({"voice": "ben", "instructions": "Slowly.", "temperature": 1}, "robot/m", False, ROBOT),
        ({"background": True}, "good/m", True, GOOD),
    ],
)
async def test_it_says_what_the_answer_would_say(
    tmp_path: Path, fields: dict[str, Any], model: str, is_trained: bool, controls: dict[str, Any] | None
) -> None:
    async with inside(tmp_path, CONFIG, engines()) as server:
        found = await estimate(server, body(**fields))
        spoken = (await server.ask("POST", SPEECH, body=body(**{**fields, "background": None}))).headers
    assert (found["model"], found["is_trained"]) == (model, is_trained)
    assert found["controls"] == (controls or found["controls"])
    assert found["model"] == spoken["x-voxgate-engine"]
    for name in ("voice", "language"):
        assert found[name] == spoken[f"x-voxgate-{name}"]
    assert (found["substitute"] or "") == spoken.get("x-voxgate-substitute", "")
    assert found["substitute_reason"] == ("voice" if found["substitute"] else None)
    assert ", ".join(found["ignored"]) == spoken.get("x-voxgate-ignored", "")
    assert found["available"] is None


@each_row(
    "voice, text, mode, expected",
    [
        ("ana", "[happy] Hi. [bored] Oh. [sad] No. [bored] So. [whisper] It.", "drop", ["bored", "whisper"]),
        ("ben", "[happy] Hi. [sad] Oh.", "drop", ["happy"]),
        ("ben", "[happy] Hi. [sad] Oh.", "text", []),
        ("ben", "[happy](https://example.com) Hi [there].", "drop", []),
        (CAST, "[Ana] [happy] Hi. [Ben] [happy] Hello. [calm] Yes.", "drop", ["happy", "calm"]),
        ({"cast": {"Happy": "ben"}}, "[happy] Hi. [calm] Yes.", "drop", ["calm"]),
    ],
)
async def test_the_tags_that_would_be_left_out(
    tmp_path: Path, voice: object, text: str, mode: str, expected: list[str]
) -> None:
    async with inside(tmp_path, CONFIG, engines()) as server:
        found = await estimate(server, body(voice=voice, input=text, emotion_tags=mode))
    assert found["dropped_tags"] == expected
    assert ("emotion" in found["ignored"]) == bool(expected)


@each_row(
    "voice, text, unused, others",
    [
        (CAST, "ANA: Hi.\n**Ana:** Ho.", ["Ben"], []),
        (CAST, "Ana: Hi.\nCARL: So.\nCarl: Oh.\nBEN: Ho.", [], ["CARL"]),
        (CAST, "https://a.b\n12:30\nhttps://a.b\n12:30", ["Ana", "Ben"], []),
        ({"cast": {"Zoë 👍, ok": "ana", "Ben": "ben"}}, "Ben: Hi.", ["Zoë 👍, ok"], []),
        ("ana", "ANA: Hi.\nANA: Ho.", [], ["ANA"]),
    ],
)
async def test_names_that_the_text_lacks_and_what_looks_like_names(
    tmp_path: Path, voice: object, text: str, unused: list[str], others: list[str]
) -> None:
    async with inside(tmp_path, CONFIG, engines()) as server:
        found = await estimate(server, body(voice=voice, input=text))
        spoken = (await server.ask("POST", SPEECH, body=body(voice=voice, input=text))).headers
    assert (found["unused_names"], found["other_names"]) == (unused, others)
    assert unquote(spoken.get("x-voxgate-cast-unused", "")) == ", ".join(unused)
    assert found["voice"] == spoken["x-voxgate-voice"]


async def test_an_engine_that_rests_gives_way_to_the_next(tmp_path: Path) -> None:
    fails = {**engines(), "good": Scripted(EngineUnauthorized("no"), emotions=("happy",))}
    async with inside(tmp_path, CONFIG, fails) as server:
        tagged = body(input="[happy] Hi. [bored] Oh.")
        before = await estimate(server, tagged)
        assert (before["model"], before["dropped_tags"]) == ("good/m", ["bored"])
        spoken = await server.ask("POST", SPEECH, body=tagged)
        after = await estimate(server, tagged)
        assert (after["model"], after["substitute"], after["is_trained"]) == ("robot/m", "v", False)
        assert after["model"] == spoken.headers["x-voxgate-engine"]
        assert after["substitute"] == spoken.headers["x-voxgate-substitute"]
        assert (before["substitute_reason"], after["substitute_reason"]) == (None, "away")
        assert after["dropped_tags"] == ["happy", "bored"]


@each_row("busy, reason", [("robot", "voice"), ("good", "voice")])
async def test_a_robot_is_never_the_busy_voice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, busy: str, reason: str
) -> None:
    found = {**engines(), "good": Scripted(*spoken(0.1), languages=(Language("en"),))}
    async with inside(tmp_path, CONFIG, found) as server:
        monkeypatch.setattr(server.worker.engines, "is_busy", lambda name: name == busy)
        told = await estimate(server, body(language="de"))
    assert (told["model"], told["substitute_reason"]) == ("robot/m", reason)


async def test_a_post_step_adds_its_emotions(tmp_path: Path) -> None:
    step = '{ engine = "good", voice = "ana", when = "emotion:angry" }'
    route = f'[[routes]]\nlanguage = "en"\ncandidates = ["robot/m"]\npost = [{step}]\n'
    made = {**engines(), "good": Scripted(*spoken(0.1), converts=True)}
    async with inside(tmp_path, CONFIG + route, made) as server:
        assert (await estimate(server, body(language="en")))["controls"]["emotions"] == ["sad", "angry"]


async def test_a_preferred_voice_speaks_for_its_account(tmp_path: Path) -> None:
    async with inside(tmp_path, CONFIG, engines()) as server:
        await prefer(server, "ben")
        assert (await estimate(server, body(voice=None)))["voice"] == "ben"


@each_row("plan, status, code", [("small", 202, ""), ("jobless", 403, "jobs_not_allowed")])
async def test_a_request_in_the_background_has_the_limits_of_a_job(
    tmp_path: Path, plan: str, status: int, code: str
) -> None:
    text = CONFIG + "[plans.jobless]\njob_characters = 0\n"
    async with inside(tmp_path, text, engines(), plan) as server:
        sent = body(input="Hello. " * 50, background=True)
        answers = [await server.ask("POST", path, body=sent) for path in (SPEECH, ESTIMATE)]
        assert [answer.status_code for answer in answers] == [status, 200 if status == 202 else status]
        assert code == "" or {envelope(answer)["code"] for answer in answers} == {code}


REFUSED: tuple[dict[str, Any], ...] = (
    {"input": " \n"},
    {"input": "x" * 4097},
    {"input": "x" * 301},
    {"input": None},
    {"input": 3},
    {"model": "nothing"},
    {"model": "robot/m"},
    {"voice": "nobody"},
    {"voice": "ben"},
    {"voice": {"cast": {}}},
    {"voice": CAST, "input": "[Ana] [Ben]"},
    {"emotion": "furious"},
    {"emotion": SECRET[:60]},
    {"input": "[bored] Hi.", "emotion_tags": "refuse"},
    {"pitch": 5},
    {"pitch": 13},
    {"speed": 9},
    {"language": "english please"},
    {"language": "x" * 40},
    {"model": "other/m", "voice": "eva", "language": "th"},
    {"instructions": "x" * 51},
    {"lexicon": "nothing"},
    {"lexicon": {"": SECRET}},
    {"lexicon": {"a": "x" * 200}, "input": "a " * 2000},
    {"seed": -1},
    {"tag": "a b"},
    {"response_format": "ogg"},
    {"response_format": "json", "stream_format": "sse"},
    {"provenance": "c2pa"},
    {"response_format": "json", "audio_format": "wav", "input": "9" * 4000, "speed": 0.25},
)


@each_row("plan", ["unlimited", "small"])
async def test_what_speech_refuses_gets_the_same_error(
    tmp_path: Path, plan: str, capsys: pytest.CaptureFixture[str]
) -> None:
    found = engines()
    same, refused = list[bool](), 0
    async with inside(tmp_path, CONFIG, found, plan) as server:
        for fields in REFUSED:
            answers = [await server.ask("POST", path, body=body(**fields)) for path in (ESTIMATE, SPEECH)]
            codes = {answer.status_code for answer in answers}
            same.append(len(codes) == 1 and (codes == {200} or _error(answers[0]) == _error(answers[1])))
            refused += codes != {200}
        for raw in (b"", b"{", b"[]", b'{"input":"' + b"a" * 262_200 + b'"}'):
            errors = [await _raw_error(server, path, raw) for path in (ESTIMATE, SPEECH)]
            same.append(errors[0] == errors[1])
    assert all(same), [fields for fields, is_same in zip(REFUSED, same, strict=False) if not is_same]
    assert refused >= 20
    logged = capsys.readouterr().out
    assert "/v1/audio/speech/estimate" in logged
    assert "secret" not in logged


def _error(answer: httpx2.Response) -> object:
    return answer.status_code, envelope(answer)


async def _raw_error(server: Inside, path: str, raw: bytes) -> object:
    async with server.client() as client:
        return _error(await client.post(path, content=raw))


async def test_no_engine_is_asked_and_nothing_of_the_text_comes_back(tmp_path: Path) -> None:
    found = {name: Scripted(EngineFailed("it was asked")) for name in engines()}
    async with inside(tmp_path, CONFIG, found) as server:
        answer = await server.ask("POST", ESTIMATE, body=body(instructions=SECRET, tag="episode"))
        assert answer.status_code == 200
        assert all(word not in json.dumps(answer.json()) for word in ("secret", "script", "episode"))
        assert all(not engine.jobs for engine in found.values())
        listed = await server.ask("GET", "/v1/usage?by=refusal")
        assert listed.json()["data"] == []


@each_row(
    ("model", "wait_s", "wait"),
    [
        ("tts-1", 12.34, {"seconds": 12.3, "command": "voxgate voices natural es --quick"}),
        ("tts-1", 0.5, None),
        ("slow/m", 12.34, None),
    ],
)
async def test_a_language_that_waits_for_its_only_voices_is_told_how_long_and_what_helps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: str, wait_s: float, wait: object
) -> None:
    slow = Speakers(voice("eva", "female", "es"), tags=("es",))
    more: Any = {("engine", "slow"): plugin("slow", slow, share_voices)}
    config = '[engines.slow]\n[models]\ntts-1 = ["slow/m"]\n'
    async with inside(tmp_path, config, more=more) as server:

        async def health() -> HealthReport:
            return HealthReport(1, 1, 0, wait_s=wait_s)

        monkeypatch.setattr(server.worker.engines["slow"], "health", health)
        asked = {"model": model, "voice": "alloy", "input": "Hola.", "language": "es"}
        assert (await estimate(server, asked))["wait"] is None  # it has nothing to do
        monkeypatch.setattr(server.worker.engines, "is_busy", lambda name: name == "slow")
        assert (await estimate(server, asked))["wait"] == wait
