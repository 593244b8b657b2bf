"""Every failure a client can see: one closed mapping to HTTP, and what a retry is told."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from proxy import errors
from proxy.errors import (
    InvalidRequest,
    JobUsedUp,
    OwnError,
    ReaderTooSlow,
    RequestFailed,
    UpstreamFailed,
    from_engine,
)
from proxy.http.replies import failure_reply
from proxy.speech_steps.check_totals import SpokenWrong
from speech_engine import errors as engine_errors
from speech_engine import runner
from speech_engine.errors import EngineError
from speech_engine.host.messages import Failed
from tests.tables import each_row

# Every worker of a test run must see the same ones, whatever it has imported.
ENGINE_ERRORS = [*EngineError.__subclasses__(), runner.NotBegun, runner.CannotTell, SpokenWrong]
ENGINE_ERRORS = sorted({*ENGINE_ERRORS} - {OwnError}, key=lambda each: each.__name__)


@each_row("kind", ENGINE_ERRORS)
def test_every_engine_error_has_a_place(kind: type[EngineError]) -> None:
    failure = from_engine(kind("The engine's own words."))
    if kind is SpokenWrong:
        assert (failure.status, failure.code) == (502, "heard_wrong")
    elif kind is JobUsedUp:
        assert (failure.status, failure.message) == (403, "The engine's own words.")
    elif isinstance(failure, InvalidRequest):
        # The user's to mend: the engine's message is for them, and asking again would not help.
        assert failure.message == "The engine's own words."
        is_of_a_field = kind not in (ReaderTooSlow, engine_errors.UnsupportedOption)
        assert failure.param in (
            ("input", "instructions", "language", "voice", "provenance") if is_of_a_field else (None,)
        )
        assert failure.retry_after_s is None
    else:
        assert isinstance(failure, UpstreamFailed)
        assert "own words" not in failure.message
        assert failure.retry_after_s


@each_row(
    ("kind", "status", "code"),
    [
        (engine_errors.EngineFailed, 503, "engine_unavailable"),
        (engine_errors.EngineUnavailable, 503, "engine_unavailable"),
        (engine_errors.EngineBusy, 503, "engine_unavailable"),
        (engine_errors.EngineTimeout, 503, "engine_timeout"),
        (engine_errors.UnsupportedLanguage, 400, "unsupported_language"),
        (engine_errors.UnsupportedText, 400, "unsupported_text"),
        (engine_errors.UnsupportedOption, 400, "unsupported_value"),
        (engine_errors.VoiceNotFound, 400, "voice_not_found"),
        (engine_errors.ContentRefused, 400, "content_refused"),
        (engine_errors.UnusableSample, 400, "unusable_sample"),
        (ReaderTooSlow, 400, "client_too_slow"),
    ],
)
def test_the_class_decides_the_status(kind: type[EngineError], status: int, code: str) -> None:
    failure = from_engine(kind("x"))
    assert (failure.status, failure.code) == (status, code)


def test_an_option_that_a_model_cannot_do_is_named_also_from_another_process() -> None:
    error = engine_errors.UnsupportedOption("It must be pm.", detail="f0_method")
    told = Failed.of(error).to_error()
    assert from_engine(told).param == "f0_method"
    assert from_engine(engine_errors.UnsupportedOption("It must be pm.")).param is None


def test_a_plugins_own_kind_of_an_error_has_the_status_of_its_parent() -> None:
    class TextWithMusic(engine_errors.UnsupportedText):
        """A closer word for what is wrong with the text."""

    class StillLoading(engine_errors.EngineTimeout):
        """A closer word for why there was no audio."""

    refused, late = from_engine(TextWithMusic("No notes, please.")), from_engine(StillLoading("soon"))
    assert (refused.status, refused.code, refused.param) == (400, "unsupported_text", "input")
    assert (late.status, late.code) == (503, "engine_timeout")


def test_an_error_a_plugin_made_up_is_the_engines_failure() -> None:
    class MadeUp(EngineError):
        """Not one of ours."""

    failure = from_engine(MadeUp("secret detail"))
    assert (failure.status, failure.code) == (503, "engine_unavailable")
    assert "secret" not in failure.message


@given(st.floats(min_value=0, max_value=1e9))
def test_a_retry_is_always_asked_for_within_1_to_60_seconds(retry_after_s: float) -> None:
    failure = from_engine(engine_errors.EngineBusy("x", retry_after_s=retry_after_s))
    assert 1 <= int(failure_reply(failure).headers["retry-after"]) <= 60


def test_a_retry_time_is_rounded_up() -> None:
    failure = UpstreamFailed("x", retry_after_s=2.1)
    assert failure_reply(failure).headers["retry-after"] == "3"


def test_only_failures_that_time_can_heal_name_a_time() -> None:
    assert "retry-after" not in failure_reply(InvalidRequest("x")).headers
    assert failure_reply(errors.Conflict("x")).headers["x-should-retry"] == "false"
    assert "retry-after" in failure_reply(errors.StorageUnavailable()).headers


@each_row(
    "failure",
    [
        InvalidRequest("x", param="speed"),
        errors.InvalidKey("x"),
        errors.NotAllowed("x"),
        errors.NotFound("x"),
        errors.MethodNotAllowed("x"),
        errors.Conflict("x"),
        errors.RequestTooLarge("x"),
        errors.UnsupportedMediaType("x"),
        errors.InternalError(),
        errors.StorageUnavailable(),
        errors.VaultUnavailable(),
        UpstreamFailed("x"),
    ],
)
def test_every_body_has_the_four_keys_and_a_code_of_text(failure: RequestFailed) -> None:
    body = msgspec.to_builtins(failure.body())["error"]
    assert list(body) == ["message", "type", "param", "code"]
    assert body["code"]
    assert body["message"]
    assert (body["type"] == "server_error") == (failure.status >= 500)
    assert failure_reply(failure).status_code == failure.status
