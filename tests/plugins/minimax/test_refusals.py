"""Every way in which MiniMax says no, or says nothing of sense, and the class that decides what follows."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Literal

import pytest
from structlog.testing import capture_logs

from fakes.faults import ScriptedFault
from plugins.minimax import faults
from plugins.minimax.wire import BaseResp
from speech_engine import (
    CloneNameUsed,
    ContentRefused,
    EngineCannot,
    EngineError,
    EngineExhausted,
    EngineFailed,
    EngineForbidden,
    EngineLimited,
    EngineStumbled,
    EngineTimeout,
    EngineUnauthorized,
    Event,
    UnsupportedRequest,
    UnsupportedText,
    UnusableSample,
    VoiceNotFound,
)
from speech_engine.testing import collect, speaking
from tests.plugins.minimax.rig import audio_of, error_of, rig, speech_job, toned
from tests.tables import each_row

CODES: dict[int, type[EngineError]] = {
    1000: EngineStumbled,
    1001: EngineTimeout,
    1002: EngineLimited,
    1004: EngineUnauthorized,
    1008: EngineExhausted,
    1013: EngineStumbled,
    1024: EngineStumbled,
    1026: ContentRefused,
    1027: ContentRefused,
    1033: EngineStumbled,
    1039: EngineLimited,
    1041: EngineLimited,
    1042: UnsupportedText,
    1043: UnusableSample,
    1044: UnusableSample,
    2013: UnsupportedRequest,
    2037: UnusableSample,
    2038: EngineCannot,
    2039: CloneNameUsed,
    2042: VoiceNotFound,
    2045: EngineLimited,
    2048: UnusableSample,
    2049: EngineUnauthorized,
    2056: EngineExhausted,
    20132: VoiceNotFound,
    4711: EngineFailed,
}
TEXT = "A text that nobody else may read."


@each_row("code", CODES)
def test_a_code_is_its_class(code: int) -> None:
    error = faults.error_of_code(BaseResp(code, "Nobody else may read this."))
    assert type(error) is CODES[code]
    assert str(code) in error.detail
    assert str(code) not in error.message
    assert "Nobody" not in error.reason


@each_row("code", [1004, 1026, 2042, 4711])
@each_row("stream", [True, False])
async def test_a_code_is_its_class_however_it_was_asked(code: int, stream: bool) -> None:
    async with rig(stream=stream) as running:
        running.provider.fail("error_in_200", code=str(code))
        error = await error_of(running.engine, speech_job(TEXT))
        assert await collect(running.engine, speech_job(TEXT))
    assert type(error) is CODES[code]
    assert str(code) in error.detail
    assert str(code) not in error.message
    assert TEXT not in error.reason


def test_only_what_certainly_did_nothing_may_be_asked_again() -> None:
    again = {code for code in CODES if faults.error_of_code(BaseResp(code)).may_retry}
    assert again == {1000, 1013, 1024, 1033, 1002, 1039, 1041, 2045}
    final = {code for code in CODES if not faults.error_of_code(BaseResp(code)).may_fall_back}
    assert final == {1026, 1027, 1043, 1044, 2037, 2048}


@each_row(
    ("text", "expected"),
    [
        ("One <#0.5#> two.", None),
        ("One <#0.5#><#0.5#> two.", UnsupportedText),
        ("One <#100.5#> two.", UnsupportedText),
    ],
)
async def test_a_text_that_breaks_its_rules_is_the_users(
    text: str, expected: type[EngineError] | None
) -> None:
    async with rig() as running:
        if expected is None:
            await collect(running.engine, speech_job(text))
        else:
            assert type(await error_of(running.engine, speech_job(text))) is expected


async def test_a_field_that_breaks_its_rules_is_our_own_fault() -> None:
    async with rig() as running:
        assert type(await error_of(running.engine, speech_job(TEXT, emotion="neutral"))) is UnsupportedRequest


@each_row(
    ("status", "expected"),
    [
        (400, UnsupportedRequest),
        (401, EngineUnauthorized),
        (402, EngineExhausted),
        (403, EngineFailed),
        (404, UnsupportedRequest),
        (429, EngineLimited),
        (500, EngineFailed),
        (502, EngineStumbled),
        (503, EngineStumbled),
        (504, EngineTimeout),
    ],
)
async def test_a_gateways_page_is_judged_by_its_status(status: int, expected: type[EngineError]) -> None:
    async with rig() as running:
        running.provider.fail("5xx", status=status, retry_after="7")
        error = await error_of(running.engine, speech_job(TEXT))
    assert type(error) is expected
    assert error.retry_after_s == 7.0


async def test_too_many_requests_with_and_without_a_time_to_wait() -> None:
    async with rig() as running:
        running.provider.fail("429")
        running.provider.fail("429", retry_after="3")
        running.provider.fail("429", retry_after="Wed, 21 Oct 2026 07:28:00 GMT")
        errors = [await error_of(running.engine, speech_job(TEXT)) for _ in range(3)]
    assert [type(error) for error in errors] == [EngineLimited] * 3
    assert [error.retry_after_s for error in errors] == [None, 3.0, None]


async def test_a_wrong_key_is_the_operators() -> None:
    async with rig(key="sk-other") as running:
        error = await error_of(running.engine, speech_job(TEXT))
    assert type(error) is EngineUnauthorized
    assert "sk-other" not in f"{error!r} {running.engine!r}"


@each_row(
    ("fault", "more", "expected"),
    [
        ("garbage", {}, EngineFailed),
        ("truncated", {"after_bytes": 0}, EngineFailed),
        ("truncated", {"after_bytes": 20_000}, EngineFailed),
        ("wrong_codec", {}, EngineFailed),
        ("error_in_200", {"code": "empty"}, EngineStumbled),
        ("error_in_200", {"code": "null_data"}, EngineStumbled),
        ("error_in_200", {"code": "odd_hex"}, EngineFailed),
        ("error_in_200", {"code": "no_end"}, EngineFailed),
        ("error_midstream", {}, EngineStumbled),
        ("error_midstream", {"after_bytes": 20_000, "code": "1027"}, ContentRefused),
    ],
)
async def test_an_answer_that_makes_no_sense(
    fault: Any, more: dict[str, Any], expected: type[EngineError]
) -> None:
    async with rig() as running:
        running.provider.fail(fault, **more)
        error = await error_of(running.engine, speech_job(TEXT))
        # The next one is as good as ever, whatever became of the connection.
        assert await collect(running.engine, speech_job(TEXT))
    assert type(error) is expected


async def _read_into(got: list[Event], events: AsyncIterator[Event]) -> None:
    async for event in events:
        got.append(event)


async def test_audio_that_was_heard_before_an_answer_broke_was_heard() -> None:
    got: list[Event] = []
    async with rig() as running:
        running.provider.fail("error_midstream", after_bytes=20_000)
        async with speaking(running.engine, speech_job(TEXT)) as events:
            with pytest.raises(EngineStumbled):
                await _read_into(got, events)
    # Counted in hexadecimal digits there, in chunks of 4801 bytes; of the last sample half has come.
    assert audio_of(got) == toned(TEXT)[: 3 * 4801 // 2 * 2]


@pytest.mark.parametrize(
    ("settings", "change", "fault"),
    [
        pytest.param({}, {"deadline_s": 0.2}, "hang_before", id="before the answer"),
        pytest.param({"silence_s": 0.2}, {}, "hang_after", id="within it"),
    ],
)
async def test_silence_is_a_timeout(
    settings: dict[str, Any], change: dict[str, Any], fault: Literal["hang_before", "hang_after"]
) -> None:
    async with rig(**settings) as running:
        running.provider.fail(fault, after_bytes=20_000)
        error = await asyncio.wait_for(error_of(running.engine, speech_job(TEXT, **change)), 5.0)
        await running.provider.until(lambda: running.provider.open == 0)
    assert type(error) is EngineTimeout


async def test_later_calls_of_a_job_have_no_deadline_but_the_longest_pause() -> None:
    texts = ("Hi.", "x" * 9_999)
    async with rig(silence_s=0.3) as running:
        running.provider.faults += [ScriptedFault(name="slow", pause_s=0), ScriptedFault(name="hang_before")]
        error = await asyncio.wait_for(error_of(running.engine, speech_job(*texts, deadline_s=60.0)), 20.0)
        assert [seen.fault for seen in running.provider.seen] == ["slow", "hang_before"]
    assert type(error) is EngineTimeout


async def test_a_slow_answer_is_still_one() -> None:
    async with rig() as running:
        running.provider.fail("slow", piece_bytes=997, pause_s=0.0001)
        assert await collect(running.engine, speech_job("Hi."))


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        pytest.param(ScriptedFault(name="error_midstream", code="1033"), 200, 1033, id="from the body"),
        pytest.param(ScriptedFault(name="5xx", status=502), 502, 0, id="from a header"),
    ],
)
async def test_a_failure_is_logged_with_the_providers_trace_and_nothing_of_the_user(
    fault: ScriptedFault, status: int, code: int
) -> None:
    async with rig() as running:
        running.provider.faults.append(fault)
        with capture_logs() as logs:
            await error_of(running.engine, speech_job(TEXT))
    (line,) = logs
    assert line == {
        "event": "minimax.request.failed",
        "log_level": "warning",
        "path": "/v1/t2a_v2",
        "error": "EngineStumbled",
        "status": status,
        "code": code,
        "trace": "04ece790375f3ca2edbb44e8c4c200bf",
    }


@pytest.mark.parametrize(
    ("media_type", "cls"), [("text/html", EngineFailed), ("application/json", EngineForbidden)]
)
def test_a_firewalls_page_says_nothing_of_the_key(media_type: str, cls: type[EngineError]) -> None:
    assert type(faults.error_of_status(403, {"content-type": media_type})) is cls
