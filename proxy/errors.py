"""Every failure that a client can see, and its HTTP status and body in OpenAI's form.

Raise the most exact class, with a message for the person who must act. The class has the status.
`from_engine` maps the errors of engines. The messages of the server's own faults never reach a client.
"""

from __future__ import annotations

from typing import ClassVar

import msgspec

from speech_engine import errors as engine_errors
from speech_engine.errors import EngineError, EngineUnavailable

IDEMPOTENCY_KEY = "Idempotency-Key"
"""The header of a request that is done once. Its failures have this `param`."""


class ClientLeft(Exception):
    """The client left or was cut off. This is no failure, because no client sees it."""


class CommandRefused(Exception):
    """A command cannot be carried out. The message is for the person who typed it. If the server refused a
    request of the command, `code` is the server's."""

    def __init__(self, message: str, code: str = "") -> None:
        super().__init__(message)
        self.code = code


class CannotServe(CommandRefused):
    """The server, or a command that needs the data folder, cannot begin. The message says what to do."""


class DataHeld(CannotServe):
    """Another process uses the data folder now."""


class ErrorDetail(msgspec.Struct, frozen=True):
    """A failure as OpenAI's clients read it: `code` for programs, `message` for people."""

    message: str
    type: str
    param: str | None
    code: str


class ErrorEnvelope(msgspec.Struct, frozen=True):
    """The body of every failure."""

    error: ErrorDetail


class RequestFailed(Exception):
    """The base class. `status`, `kind` (OpenAI's `error.type`) and `code` belong to the class or instance.

    `text` is the message if the constructor gets none, and `retry_s` is the `retry_after_s` if it gets none.
    If `should_retry` is not None, SDKs are told whether to send the request again.
    """

    status: ClassVar[int] = 500
    kind: ClassVar[str] = "server_error"
    default_code: ClassVar[str] = "internal_error"
    text: ClassVar[str] = ""
    retry_s: ClassVar[float | None] = None
    should_retry: ClassVar[bool | None] = None

    def __init__(
        self,
        message: str = "",
        *,
        param: str | None = None,
        code: str | None = None,
        retry_after_s: float | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        self.message = message or self.text
        super().__init__(self.message)
        self.param = param
        self.code = code or self.default_code
        self.retry_after_s = self.retry_s if retry_after_s is None else retry_after_s
        self.headers = dict(headers or {})
        if self.should_retry is not None:
            self.headers["x-should-retry"] = "true" if self.should_retry else "false"

    def body(self) -> ErrorEnvelope:
        return ErrorEnvelope(ErrorDetail(self.message, self.kind, self.param, self.code))


class InvalidRequest(RequestFailed):
    """400: something in the request is wrong; `param` names the field."""

    status, kind, default_code = 400, "invalid_request_error", "invalid_value"


class InvalidKey(RequestFailed):
    status, kind, default_code = 401, "invalid_request_error", "invalid_api_key"


class SessionEnded(RequestFailed):
    """401: the session has ended. The answer removes its cookie."""

    status, kind, default_code = 401, "invalid_request_error", "session_ended"

    def __init__(self, cookie: str) -> None:
        super().__init__("Your session has ended. Sign in again.", headers={"set-cookie": cookie})


class NotAllowed(RequestFailed):
    """403: the key is good, but its role or plan does not allow this."""

    status, kind, default_code = 403, "permission_error", "not_allowed"


class AccountSuspended(RequestFailed):
    """403: an operator has suspended the account of the key."""

    status, kind, default_code = 403, "permission_error", "account_suspended"
    text = (
        "Your account is suspended. Nothing of it is deleted, and its keys work again when the operator "
        "of this server resumes it: ask there."
    )


class SessionNeeded(RequestFailed):
    """403: only a person who has signed in may do this, and no API key."""

    status, kind, default_code = 403, "permission_error", "session_needed"
    text = "Sign in to do this. No API key can."


class SignInAgain(RequestFailed):
    """403: the sign-in of this session was too long ago for what it asks."""

    status, kind, default_code = 403, "permission_error", "sign_in_again"
    text = "Sign in once more, to confirm that it is you, and then try again."


class NotFound(RequestFailed):
    status, kind, default_code = 404, "invalid_request_error", "not_found"


class MethodNotAllowed(RequestFailed):
    status, kind, default_code = 405, "invalid_request_error", "method_not_allowed"


class RequestTimeout(RequestFailed):
    """408: the client sends its request too slowly."""

    status, kind, default_code = 408, "invalid_request_error", "request_timeout"


class Conflict(RequestFailed):
    """409: the same request will fail again, so the answer tells SDKs not to retry."""

    status, kind, default_code = 409, "invalid_request_error", "conflict"
    should_retry = False


class RequestUnderWay(RequestFailed):
    """409: it waits for something that will end, as for the first request with this Idempotency-Key."""

    status, kind, default_code = 409, "invalid_request_error", "request_under_way"
    should_retry, retry_s = True, 1.0


class RequestTooLarge(RequestFailed):
    status, kind, default_code = 413, "invalid_request_error", "request_too_large"


class UnsupportedMediaType(RequestFailed):
    status, kind, default_code = 415, "invalid_request_error", "unsupported_media_type"


class RangeNotSatisfiable(RequestFailed):
    """416: the file has no byte of the range in the request."""

    status, kind, default_code = 416, "invalid_request_error", "range_not_satisfiable"


class UnknownHost(RequestFailed):
    """421: the request came under a name that is not in `[server] hosts`."""

    status, kind, default_code = 421, "invalid_request_error", "unknown_host"

    def __init__(self) -> None:
        super().__init__("This server is not known under the name in the header 'Host'.", param="Host")


class IdempotencyKeyReused(RequestFailed):
    """422: the same Idempotency-Key came with another body before."""

    status, kind, default_code = 422, "invalid_request_error", "idempotency_key_reused"


class UpgradeRequired(RequestFailed):
    status, kind, default_code = 426, "invalid_request_error", "upgrade_required"


class RateLimited(RequestFailed):
    """429: too many requests at once, or in a minute. The same request is fine after `retry_after_s`."""

    status, kind, default_code = 429, "rate_limit_error", "rate_limit_exceeded"


class QuotaExceeded(RequestFailed):
    """429: the credits are used up. Before the next cycle a retry cannot help, so the answer says not to."""

    status, kind, default_code = 429, "insufficient_quota", "insufficient_quota"
    should_retry = False


class HeadTooLarge(RequestFailed):
    """431: the URL and the headers are too long, or too many."""

    status, kind, default_code = 431, "invalid_request_error", "head_too_large"


class InternalError(RequestFailed):
    """500: the server's own fault. The message is always the same; the log has the cause under the id."""

    text = "The server had an error while processing your request. Please try again later."


class StorageUnavailable(RequestFailed):
    """503: the database cannot be reached now.

    No speech is charged. If only the database's answer was lost, an operator's change may still be done.
    """

    status, default_code = 503, "storage_unavailable"
    text = "The server cannot reach its database. Please try again later."
    retry_s = 2.0


class VaultUnavailable(RequestFailed):
    """503: what is sealed cannot be opened or stored now. The log says why."""

    status, default_code = 503, "vault_unavailable"
    text = "The server cannot open what is sealed; ask its operator."
    retry_s = 30.0


class MarksUnavailable(RequestFailed):
    """503: a mark that the configuration names could not be looked for. The log says why."""

    status, default_code = 503, "marks_unavailable"

    def __init__(self, what: str) -> None:
        super().__init__(f"No verdict, as {what}; ask the server's operator.", retry_after_s=10.0)


class LimitsUnavailable(RequestFailed):
    """503: requests a minute cannot be counted now, and requests that are not counted are refused."""

    status, default_code = 503, "limits_unavailable"
    text = "The server cannot count requests now. Please try again later."
    retry_s = 2.0


class ServerBusy(RequestFailed):
    """503: the server has as many connections as it takes. Only health can be asked for now."""

    status, default_code = 503, "server_busy"
    text = "The server has too many connections. Please try again later."
    retry_s = 1.0


class NoPlace(RequestFailed):
    """503: all places for costly work are taken, or the free ones are kept for accounts without one."""

    status, default_code = 503, "server_busy"

    def __init__(self, what: str) -> None:
        super().__init__(f"There are too many {what} now. Please try again later.", retry_after_s=2.0)


class DecodingFailed(RequestFailed):
    """503: a process of ours that read a recording ended, or was late, by no fault of the file's."""

    status, default_code = 503, "server_busy"
    text = "The recording could not be decoded now. Please try again later."
    retry_s = 5.0


class UpstreamFailed(RequestFailed):
    """503: the engine failed, is busy, late or not available. Another try may succeed."""

    status, default_code = 503, "engine_unavailable"


class NoDiskSpace(EngineError):
    """There is no room on the disk to collect a whole answer."""

    may_fall_back = False


class HostLost(EngineUnavailable):
    """The host of an engine has died. The next process of the host may succeed."""


class DayUsedUp(EngineUnavailable):
    """An engine's cost limit of a day is spent or reserved."""


class ShareUsedUp(DayUsedUp):
    """An account's share of an engine's cost limit of a day is spent. It may grow before the day ends."""


class JobUsedUp(EngineError):
    """A job's cost limit at an engine is spent. The operator sets the limit, so it charges nothing."""


class OwnError(EngineError):
    """An error of this server in a stream of speech. Its client sees the `failure`."""

    may_fall_back = False
    failure: ClassVar[type[RequestFailed]]


_ENGINE_FAULTS: dict[type, tuple[str, str]] = {
    EngineError: ("engine_unavailable", "The engine failed to speak this. Please try again."),
    engine_errors.EngineUnavailable: ("engine_unavailable", "The engine is not available right now."),
    engine_errors.EngineBusy: ("engine_unavailable", "The engine is busy: the wait would be too long."),
    engine_errors.EngineStumbled: ("engine_unavailable", "The engine failed for a moment. Please try again."),
    engine_errors.EngineLimited: ("engine_unavailable", "The engine's provider is at its limit now."),
    engine_errors.EngineUnauthorized: ("engine_unavailable", "The engine is not available right now."),
    engine_errors.EngineExhausted: ("engine_unavailable", "The engine is not available right now."),
    engine_errors.UnsupportedRequest: ("engine_unavailable", "The engine does not take this request."),
    engine_errors.EngineTimeout: ("engine_timeout", "The engine gave no audio in time."),
    DayUsedUp: ("engine_unavailable", "The engine has used up what it may cost today."),
    ShareUsedUp: ("engine_unavailable", "Your share of what the engine may cost today is used up."),
    NoDiskSpace: ("server_busy", "The server has no room to collect a whole answer now."),
}
"""The code of each fault of an engine, and its message, since the engine's own message is not for clients."""


class ReaderTooSlow(EngineError):
    """A client took its answer too slowly. It breaks a stream as an engine's error does."""

    may_fall_back = False


class TooLongToSign(EngineError):
    """A file became longer than any that is signed. It was spoken in full, so it is charged."""

    may_fall_back = False


class VoiceErased(EngineError):
    """The voice of a stream was erased. What was spoken before is charged."""

    may_fall_back = False


_REQUEST_FAULTS: dict[type, tuple[str, str]] = {
    engine_errors.UnsupportedLanguage: ("unsupported_language", "language"),
    engine_errors.UnsupportedText: ("unsupported_text", "input"),
    engine_errors.UnsupportedInstructions: ("string_above_max_length", "instructions"),
    engine_errors.UnsupportedOption: ("unsupported_value", ""),
    engine_errors.VoiceNotFound: ("voice_not_found", "voice"),
    engine_errors.ContentRefused: ("content_refused", "input"),
    engine_errors.UnusableSample: ("unusable_sample", "voice"),
    ReaderTooSlow: ("client_too_slow", ""),
    TooLongToSign: ("too_long_to_sign", "provenance"),
    VoiceErased: ("voice_not_found", "voice"),
}
"""The code of each fault of a request, and its field. An UnsupportedOption names the field itself."""
WRONG_SPEECH = "heard_wrong"
REQUEST_FAULT_CODES = frozenset((WRONG_SPEECH, *[code for code, _ in _REQUEST_FAULTS.values()]))
"""Codes of failures by the request's own text, voice or options. What was spoken before them is charged."""


def from_engine(error: EngineError) -> RequestFailed:
    """Return the failure for a client if no candidate gave audio. `error` is that of the last candidate.

    A class that is in no table counts as its nearest parent: a plugin's own UnsupportedText stays a 400.
    """
    if isinstance(error, OwnError):
        return error.failure()
    if isinstance(error, JobUsedUp):
        return NotAllowed(error.message, code="job_budget_used_up")
    for kind in type(error).__mro__:
        if (request_fault := _REQUEST_FAULTS.get(kind)) is not None:
            code, param = request_fault
            param = error.detail if kind is engine_errors.UnsupportedOption else param
            return InvalidRequest(error.message, code=code, param=param or None)
        if (engine_fault := _ENGINE_FAULTS.get(kind)) is not None:
            code, message = engine_fault
            return UpstreamFailed(message, code=code, retry_after_s=error.retry_after_s or 1.0)
    raise AssertionError("every EngineError has EngineError among its parents")
