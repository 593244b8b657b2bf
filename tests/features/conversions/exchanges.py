"""What the endpoint of conversions is asked by the test of /openapi.json, in this order."""

from tests.proxy.audio.recordings.clips import wav
from tests.proxy.http.described import Exchange
from tests.sound import tone

_RECORDING = wav(tone(440, 0.3))
_FORM = {"model": "tone/standard", "voice": "alloy", "consent": "true"}
_PATH = "/v1/audio/conversions"

EXCHANGES = (
    Exchange("create_conversion", "POST", _PATH, _FORM, file=_RECORDING),
    Exchange("create_conversion", "POST", _PATH, _FORM | {"pitch": "13"}, 400, _RECORDING),
    Exchange("create_conversion", "POST", _PATH, _FORM | {"model": "gone"}, 404, _RECORDING),
)
