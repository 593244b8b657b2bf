"""What must be true of what a client is told when something goes wrong, or when it leaves."""

import base64
import json
from typing import Any

from tests.clients.limited import RPM, reset_s
from tests.clients.servers import seconds, texts
from tests.clients.visits import TEXT, Visit, audio

# What each client makes of a status; the SDKs have a class for it, the others one for all.
_CLASSES = {
    "vercel": dict.fromkeys(("400", "401", "404", "503"), "AI_APICallError"),
}
_SDK_CLASSES = {
    "400": "BadRequestError",
    "401": "AuthenticationError",
    "403": "PermissionDeniedError",
    "404": "NotFoundError",
    "503": "InternalServerError",
}
_CODES = {
    "400": ("voice_not_found", "voice"),
    "401": ("invalid_api_key", None),
    "403": ("not_allowed", None),
    "404": ("model_not_found", "model"),
    "503": ("engine_unavailable", None),
}
_REACTION_S = 1.0
_SLOW_ENGINE = "tone44k"


def limits_name_their_field(visit: Visit) -> None:
    seen = visit.see()
    assert texts(audio(seen["longest"]), "pcm", speed=4.0) == ("x" * 4096,)
    assert [field for field, _ in seen["refused"]] == ["input"] * 3 + ["speed"] * 2 + ["response_format"]
    for field, error in seen["refused"]:
        assert (error["class"], error["status"]) == ("BadRequestError", 400)
        assert (error["param"], error["type"]) == (field, "invalid_request_error")


def errors_have_their_class(visit: Visit) -> None:
    classes = _CLASSES.get(visit.client, _SDK_CLASSES)
    seen = {status: failed.get("error", failed) for status, failed in visit.see().items()}
    assert set(seen) == set(classes)
    for status, error in seen.items():
        assert (error["class"], error["status"]) == (classes[status], int(status))
        assert (error["code"], error["param"]) == _CODES[status]
        assert error["request_id"].startswith("req_")
        # How long depends on the engine, and row 16 is about that.
        assert bool(error.get("retry_after")) == (status == "503")


def failure_before_audio_is_a_status(visit: Visit) -> None:
    expected = _CLASSES.get(visit.client, _SDK_CLASSES)["503"]
    seen = [failed.get("error", failed) for failed in visit.see()]
    assert len(seen) == 3
    for error in seen:
        assert (error["class"], error["status"]) == (expected, 503)
        assert 1 <= int(error["retry_after"]) <= 60


def python_breaks_off_midway(visit: Visit) -> None:
    seen = visit.see()
    # It hands over nothing until all is there, and so it asks again, twice.
    assert (seen["whole"]["class"], seen["whole"]["requests"]) == ("APIConnectionError", 3)
    _assert_broken(seen, "RemoteProtocolError")


def node_breaks_off_midway(visit: Visit) -> None:
    seen = visit.see()
    whole = seen["whole"]
    assert (whole["class"], whole["message"], whole["requests"]) == ("TypeError", "terminated", 1)
    _assert_broken(seen, "terminated")


def vercel_breaks_off_midway(visit: Visit) -> None:
    whole = visit.see()["whole"]
    assert whole["class"] == "AI_APICallError"
    assert "Failed to read response" in whole["message"]


def leaving_frees_the_slot(visit: Visit) -> None:
    seen = visit.see_leaving(_SLOW_ENGINE, _REACTION_S)
    assert seen["received"] > 0


def aborting_frees_the_slot(visit: Visit) -> None:
    seen = visit.see_leaving(_SLOW_ENGINE, _REACTION_S)
    assert seen["error"]["class"] != "none"


def absent_ears_are_a_clean_404(visit: Visit) -> None:
    seen = visit.see()
    error = seen["error"]
    assert (error["class"], error["status"]) == ("NotFoundError", 404)
    assert (error["code"], error["param"]) == ("model_not_found", "model")
    assert "voxgate models pull whisper-base" in error["message"]
    # Each with as many retries as it has by itself: none was made.
    assert seen["sent"] == ["/v1/audio/transcriptions"]


def models_list_and_retrieve(visit: Visit) -> None:
    seen = visit.see()
    listed = {model["id"]: model for model in seen["listed"]}
    assert {"tts-1", "tts-1-hd", "gpt-4o-mini-tts", "org/f5", "tone/standard"} <= set(listed)
    assert [_without_request(model) for model in seen["retrieved"]] == seen["listed"]
    for model in listed.values():
        assert (model["object"], model["shutdown_date"]) == ("model", None)
        assert 1_000_000_000 < model["created"] < 10_000_000_000
    missing = [seen["missing"][name] for name in ("class", "code", "param")]
    assert missing == ["NotFoundError", "model_not_found", "model"]


def headers_are_openai_s(visit: Visit) -> None:
    seen = visit.see()
    limited = visit.see_as(visit.servers.limited.account("paced"))["answered"]
    assert limited["x-ratelimit-limit-requests"] == str(RPM)
    assert limited["x-ratelimit-remaining-requests"] == str(RPM - 1)
    assert 0 < reset_s(limited) <= 60
    assert not [name for name in seen["answered"] if name.startswith("x-ratelimit-")]
    answered, asked = seen["answered"], seen["asked"]
    # Where the client shows what it sent: it did ask for compression, which audio must not have.
    assert asked.get("accept-encoding", "gzip").startswith("gzip")
    assert "content-encoding" not in answered
    assert answered["cache-control"] == "no-store"
    assert 0 <= int(answered["openai-processing-ms"]) < 60_000
    assert answered["x-request-id"].startswith("req_")
    visit.until_logged(answered["x-request-id"])


def _assert_broken(seen: dict[str, Any], broken: str) -> None:
    """Streamed, by either way: what was spoken arrives, and the end is never taken for a clean one."""
    assert (seen["streamed"]["broken"], seen["events"]["broken"]) == (broken, broken)
    spoken = base64.b64decode(seen["streamed"]["received"])
    assert 0 < len(spoken) < seconds(TEXT) * 48_000
    sent = base64.b64decode(seen["events"]["received"]).strip().split(b"\n\n")
    *deltas, last = (json.loads(line.removeprefix(b"data: ")) for line in sent)
    assert deltas
    assert {delta["type"] for delta in deltas} == {"speech.audio.delta"}
    assert (last["type"], last["error"]["code"]) == ("error", "engine_unavailable")


def _without_request(model: dict[str, Any]) -> dict[str, Any]:
    """Some SDKs note the request's id in what they return of it alone."""
    return {name: value for name, value in model.items() if name != "_request_id"}
