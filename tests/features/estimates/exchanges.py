"""What the endpoint of estimates is asked by the test of /openapi.json, in this order."""

from tests.proxy.http.described import Exchange

_BODY = {"model": "tts-1", "voice": "alloy", "input": "[happy] Hello.", "instructions": "Slowly."}
_PATH = "/v1/audio/speech/estimate"

EXCHANGES = (
    Exchange("estimate_speech", "POST", _PATH, _BODY),
    Exchange("estimate_speech", "POST", _PATH, _BODY | {"speed": 9}, 400),
    Exchange("estimate_speech", "POST", _PATH, _BODY | {"model": "gone"}, 404),
)
