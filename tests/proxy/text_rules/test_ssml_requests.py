"""`input_type: "ssml"`: spoken, priced and timed as the text that results, and refused by field."""

import json
from pathlib import Path
from typing import Any

import pytest

from proxy.features.history.request_body import body_of
from proxy.http.replies import encode_json
from proxy.speech.speech_request import Defaults, SpeechRequest, parse_speech
from tests.features.jobs.batches import rig
from tests.features.jobs.job_rig import content, jobs_inside
from tests.proxy.api.inside import TONE, envelope, inside
from tests.proxy.speech.test_asked_pauses import close, silences
from tests.sound import decoded
from tests.tones import words

SSML = '<speak><s>One</s><break time="2s"/><sub alias="Two">2</sub></speak>'
TEXT = "One. [pause 2s] Two"
_IPA = '<phoneme alphabet="ipa" ph="təˈmɑːtəʊ">tomato</phoneme>'
METERED = '[plans.sold]\nallowance = 1000\nprices.speech = { credits = 1, per = "character" }'


def parsed(text: str, **more: Any) -> SpeechRequest:
    body = {"model": "m", "voice": "v", "input": f"<speak>{text}</speak>", "input_type": "ssml", **more}
    return parse_speech(encode_json(body), Defaults())


async def test_ssml_is_spoken_timed_and_charged_as_the_text_that_results(tmp_path: Path) -> None:
    async with inside(tmp_path, TONE + METERED, plan="sold") as server:
        answer = await server.speech(SSML, input_type="ssml", response_format="wav")
        told = (await server.speech(SSML, input_type="ssml", response_format="json")).json()
        rows = await server.usage()
        body = {"model": "tts-1", "voice": "alloy", "input": SSML, "input_type": "ssml"}
        estimate = (await server.ask("POST", "/v1/audio/speech/estimate", body=body)).json()
    heard = decoded(answer.content, "wav")
    assert words(heard.samples, heard.sample_rate_hz) == ["One.", "Two"]
    assert [each for each in silences(answer.content) if each > 1] == close(2)
    assert [TEXT[each["source_start"] : each["source_end"]] for each in told["words"]] == ["One.", "Two"]
    assert {(row.characters, row.credits) for row in rows} == {(len(TEXT), len(TEXT) * 10**6)}
    assert (estimate["characters"], estimate["credits"]) == (len(TEXT), len(TEXT))


async def test_a_job_and_a_recording_have_no_ssml_but_a_line_of_a_batch_has(tmp_path: Path) -> None:
    async with jobs_inside(tmp_path) as server:
        body = {"model": "tone", "voice": "alloy", "input": SSML, "input_type": "ssml"}
        for path, more in (
            ("/v1/jobs", {}),
            ("/v1/jobs/preview", {}),
            ("/v1/audio/speech", {"background": True}),
        ):
            refused = await server.ask("POST", path, body={**body, **more})
            error = envelope(refused)
            assert (refused.status_code, error["code"]) == (400, "unsupported_value"), path
            assert error["param"] == "input_type"
        form = {"model": "tone/standard", "voice": "alloy", "input_type": "ssml", "kind": "conversion"}
        for path in ("/v1/audio/conversions", "/v1/jobs"):
            async with server.client() as client:
                refused = await client.post(path, data=form, files={"file": ("a.wav", b"RIFF")})
            assert (refused.status_code, envelope(refused)["param"]) == (400, "input_type"), refused.text
        made = await rig.new_batch(server, rig.line("a", SSML, input_type="ssml"))
        assert (await rig.ended(server, made["id"]))["status"] == "completed"
        (pcm,) = rig.unzipped((await content(server, made["id"])).content).values()
    assert rig.said_in("a.pcm", pcm) == ["One.", "Two"]


def test_what_follows_sees_a_text() -> None:
    request = parsed(f"A {_IPA}.", lexicon={"nginx": "engine x"}, markdown="off")
    assert (request.text, request.markdown) == ("A tomato.", "off")
    assert request.lexicon == {"nginx": "engine x", "tomato": "/təˈmɑːtəʊ/"}
    assert parse_speech(encode_json(body_of(request)), Defaults()) == request
    assert parsed("Hi.", markdown=None).lexicon is None
    assert parsed("Hi.", lexicon="mine").lexicon == "mine"


def test_the_root_says_the_language_unless_the_request_does() -> None:
    def language(**more: Any) -> str | None:
        return parsed("", input='<speak xml:lang="pt-br">Oi.</speak>', **more).language

    assert (language(), language(language="en"), language(language="auto")) == ("pt-BR", "en", None)


REFUSED: list[tuple[dict[str, Any], str, str, str]] = [
    ({"input": "Hello."}, "input", "invalid_ssml", "at line 1, column 1 of the SSML"),
    (
        {"input": "<speak>\n<voice/></speak>"},
        "input",
        "unsupported_ssml",
        "line 2, column 1 of the SSML: <voice>",
    ),
    ({"input": "<speak>\ud800</speak>"}, "input", "invalid_json", ""),
    ({"input": f"<speak>{'a' * 4082}</speak>"}, "input", "string_above_max_length", "4097"),
    (
        {"input": f"<speak>{'<break/>' * 330}a</speak>"},
        "input",
        "string_above_max_length",
        "maximum length 4096",
    ),
    ({"input": "<speak> <s/> </speak>"}, "input", "invalid_value", "something to say"),
    ({"input_type": "html"}, "input_type", "invalid_value", "text or ssml"),
    ({"input_type": 3}, "input_type", "invalid_value", "text or ssml"),
    ({"markdown": "auto"}, "markdown", "invalid_value", "off"),
    ({"markdown": "on"}, "markdown", "invalid_value", "off"),
    ({"emotion_tags": "text"}, "emotion_tags", "invalid_value", "breaks"),
    ({"input": f"<speak>{_IPA}</speak>", "lexicon": "none"}, "lexicon", "invalid_value", "name"),
    ({"input": f"<speak>{_IPA}</speak>", "lexicon": {"tomato": "a"}}, "lexicon", "invalid_value", "another"),
    (
        {"input": f"<speak>{_IPA}</speak>", "lexicon": {f"w{n}": "a" for n in range(100)}},
        *("lexicon", "invalid_value", "at most 100"),
    ),
]


async def test_bad_ssml_is_refused_by_its_field(tmp_path: Path, subtests: pytest.Subtests) -> None:
    async with inside(tmp_path, TONE) as server:
        for more, param, code, message in REFUSED:
            with subtests.test(json.dumps(more)[:60]):
                body = {
                    "model": "tts-1",
                    "voice": "alloy",
                    "input": "<speak>Hi.</speak>",
                    "input_type": "ssml",
                }
                async with server.client() as client:
                    raw = json.dumps({**body, **more})
                    answer = await client.post("/v1/audio/speech", content=raw)
                error = envelope(answer)
                assert (answer.status_code, error["code"]) == (400, code), answer.text
                assert error["param"] in (param, None)
                assert message in error["message"]
        long = await server.speech('<speak>a<break time="11s"/></speak>', input_type="ssml")
        assert envelope(long)["code"] == "pause_too_long"
