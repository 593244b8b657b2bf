"""What each of ElevenLabs' ways to say no is to the server, and that nothing it writes gets out with it."""

import msgspec
import pytest
import structlog

from plugins.elevenlabs import refusals
from speech_engine import (
    EngineError,
    EngineExhausted,
    EngineFailed,
    EngineForbidden,
    EngineLimited,
    EngineStumbled,
    EngineTimeout,
    EngineUnauthorized,
    UnsupportedLanguage,
    UnsupportedRequest,
    UnsupportedText,
    VoiceNotFound,
)
from speech_engine.testing import collect
from tests.plugins.elevenlabs.rig import SMALL, asked, refused, rig
from tests.tables import each_row

NAMES: dict[str, type[EngineError]] = {
    "invalid_api_key": EngineUnauthorized,
    "missing_permissions": EngineUnauthorized,
    "quota_exceeded": EngineExhausted,
    "voice_not_found": VoiceNotFound,
    "model_not_found": UnsupportedRequest,
    "max_character_limit_exceeded": UnsupportedText,
    "text_too_long": UnsupportedText,
    "invalid_parameters": UnsupportedText,
    "concurrent_limit_exceeded": EngineLimited,
    "too_many_concurrent_requests": EngineLimited,
    "rate_limit_exceeded": EngineLimited,
    "system_busy": EngineLimited,
}
STATUSES: dict[int, type[EngineError]] = {
    400: UnsupportedText,
    401: EngineUnauthorized,
    402: EngineExhausted,
    403: EngineForbidden,
    404: UnsupportedRequest,
    405: EngineFailed,
    408: EngineTimeout,
    422: UnsupportedText,
    429: EngineLimited,
    500: EngineStumbled,
    503: EngineStumbled,
    504: EngineTimeout,
}
SECRET = "The text was: attack at dawn"


@each_row("field", ["code", "status"])
@each_row("name", NAMES)
def test_a_name_says_what_it_is_whatever_the_status(name: str, field: str) -> None:
    told = refusals.read_refusal(msgspec.json.encode({"detail": {field: name, "message": SECRET}}))
    for status in (400, 401, 429):
        error = refusals.error_of_refusal(told, status, {})
        assert type(error) is NAMES[name]
        assert name in error.detail
        assert name not in error.message


@each_row("shape", ["", "older:"])
@each_row("name", ["quota_exceeded", "voice_not_found"])
async def test_a_name_is_found_in_both_of_its_places(name: str, shape: str) -> None:
    async with rig() as made:
        for status in (400, 401, 429):
            made.provider.fail("5xx", status=status, code=shape + name)
            error = await refused(made.engine, asked("Hello."))
            assert type(error) is NAMES[name]
            assert name in error.detail
            assert name not in error.message


@each_row(
    "body",
    [b'{"detail":{"code":"never_heard_of","message":"No."}}', b'{"detail":"Not Found"}', b"<html>No.</html>"],
    ids=["unknown", "bare", "page"],
)
@each_row("status", STATUSES)
def test_without_a_name_that_is_known_the_status_decides(status: int, body: bytes) -> None:
    assert isinstance(refusals.error_of_refusal(refusals.read_refusal(body), status, {}), STATUSES[status])


@each_row("code", ["never_heard_of", "bare:Not Found", "html:"])
async def test_a_status_decides_whatever_body_comes_with_it(code: str) -> None:
    async with rig() as made:
        for status in (404, 429, 503):
            made.provider.fail("5xx", status=status, code=code)
            assert isinstance(await refused(made.engine, asked("Hello.")), STATUSES[status])


async def test_a_list_of_faults_is_the_texts() -> None:
    async with rig() as made:
        made.provider.fail("5xx", status=422, code="list:voice_settings")
        assert isinstance(await refused(made.engine, asked("Hello.")), UnsupportedText)


def test_an_unknown_code_leaves_it_to_the_older_status() -> None:
    told = refusals.read_refusal(b'{"detail":{"code":"new_name","status":"quota_exceeded","message":"No."}}')
    assert isinstance(refusals.error_of_refusal(told, 401, {}), EngineExhausted)


@each_row(
    "body",
    [b"", b"null", b"[]", b"{}", b'{"detail":null}', b'{"detail":[]}', b'{"detail":{"code":7}}', b"\xff\xfe"],
)
def test_a_body_that_says_nothing_leaves_it_to_the_http_status(body: bytes) -> None:
    assert refusals.read_refusal(body).name == ""
    assert isinstance(refusals.error_of_refusal(refusals.read_refusal(body), 500, {}), EngineStumbled)


@each_row(("header", "expected"), [("7", 7.0), ("0.5", 0.5), ("soon", None), ("-1", None), (None, None)])
async def test_a_limit_says_when_to_come_back(header: str | None, expected: float | None) -> None:
    async with rig() as made:
        made.provider.fail("429", retry_after=header)
        error = await refused(made.engine, asked("Hello."))
    assert isinstance(error, EngineLimited)
    assert error.retry_after_s == expected


@pytest.mark.parametrize("word_times", [False, True])
async def test_a_refusal_may_come_as_a_success(word_times: bool) -> None:
    async with rig(word_times=word_times) as made:
        made.provider.fail("error_in_200", code="older:quota_exceeded")
        assert isinstance(await refused(made.engine, asked("Hello.")), EngineExhausted)


@each_row(
    "body",
    [
        b'{"detail":{"code":"%s","message":"%s"}}',
        b'{"detail":"%s%s"}',
        b'{"detail":[{"loc":["body","%s"],"msg":"%s","type":"x"}]}',
    ],
)
def test_nothing_in_prose_is_passed_on(body: bytes) -> None:
    told = refusals.read_refusal(body % (SECRET.encode(), SECRET.encode()))
    error = refusals.error_of_refusal(told, 400, {})
    assert "attack" not in repr(told) + repr(error) + error.reason


async def test_the_log_names_the_request_and_neither_text_nor_key() -> None:
    with structlog.testing.capture_logs() as logs:
        async with rig() as made:
            too_long = "Attack at dawn. " * 20
            assert isinstance(await refused(made.engine, asked(too_long, model=SMALL)), UnsupportedText)
    (told,) = (each for each in logs if each["event"] == "elevenlabs.request.refused")
    assert told["request"].startswith("fake-request-")
    assert (told["status"], told["code"]) == (400, "max_character_limit_exceeded")
    assert "dawn" not in str(logs)
    assert "fake-elevenlabs-key" not in str(logs)


async def test_the_concurrency_of_the_account_is_logged_when_it_changes() -> None:
    with structlog.testing.capture_logs() as logs:
        async with rig() as made:
            for most in (5, 5, 9):
                made.account.most_at_once = most
                await collect(made.engine, asked("Hello."))
    seen = [each["most_at_once"] for each in logs if each["event"] == "elevenlabs.limit.seen"]
    assert seen == [5, 9]


async def test_a_wrong_key_is_the_operators_to_mend() -> None:
    async with rig(key="wrong", is_fresh=False) as made:
        assert isinstance(await refused(made.engine, asked("Hello.")), EngineUnauthorized)
        with pytest.raises(EngineUnauthorized):
            await made.engine.refresh()
        assert "wrong" not in repr(made.engine)


async def test_a_language_that_a_model_lacks_is_refused_as_one() -> None:
    async with rig() as made:
        assert isinstance(await refused(made.engine, asked("สวัสดี", language="th")), UnsupportedLanguage)


async def test_used_up_credits_are_told_and_end_when_there_are_some_again() -> None:
    async with rig() as made:
        made.account.credits = 3
        assert isinstance(await refused(made.engine, asked("Hello.")), EngineExhausted)
        made.account.credits = 0
        with pytest.raises(EngineExhausted):
            await made.engine.refresh()
        made.account.may_extend = True
        await made.engine.refresh()
        made.account.credits = 100
        made.provider.reset()
        await made.engine.refresh()
        assert not any("subscription" in seen.path for seen in made.provider.seen)


@pytest.mark.parametrize(
    ("media_type", "cls"), [("text/html", EngineFailed), ("application/json", EngineForbidden)]
)
def test_a_firewalls_page_says_nothing_of_the_key(media_type: str, cls: type[EngineError]) -> None:
    error = refusals.error_of_refusal(refusals.read_refusal(b"<html>"), 403, {"content-type": media_type})
    assert type(error) is cls
