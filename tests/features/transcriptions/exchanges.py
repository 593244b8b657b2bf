"""What the endpoints of transcriptions are asked by the test of /openapi.json, in this order."""

from tests.proxy.audio.recordings.clips import wav
from tests.proxy.http.described import Exchange
from tests.sound import tone

_RECORDING = wav(tone(440, 0.3))
_TRANSCRIPTIONS, _TRANSLATIONS = "/v1/audio/transcriptions", "/v1/audio/translations"

EXCHANGES = (
    Exchange("create_transcription", "POST", _TRANSCRIPTIONS, {"model": "gone"}, 404, _RECORDING),
    Exchange("create_translation", "POST", _TRANSLATIONS, {"model": "tone/standard"}, 400, _RECORDING),
)
