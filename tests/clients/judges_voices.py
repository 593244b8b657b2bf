"""What must be true of the voices and consents that a client made, whichever client it is."""

from typing import Any

from plugins.tone.decode import decode_timbres
from plugins.tone.timbre import Timbre
from tests.clients.servers import FORMATS, texts
from tests.clients.visits import TEXT, Visit, audio
from tests.sound import decoded

_REFUSALS = {
    "size": ("BadRequestError", 400, "file_too_large", "audio_sample"),
    "name": ("ConflictError", 409, "conflict", "name"),
    "consent": ("NotFoundError", 404, "consent_not_found", "consent"),
    "audio": ("BadRequestError", 400, "invalid_audio", "audio_sample"),
    "type": ("BadRequestError", 400, "unsupported_value", "type"),
}


def voice_is_created_and_speaks(visit: Visit) -> None:
    seen = visit.see_owning()
    for voice in seen["made"]:
        assert voice["object"] == "audio.voice"
        assert voice["id"].startswith("voice_")
        assert voice["type"] == "audio_sample"
        assert isinstance(voice["created_at"], int)
    for name, error in seen["refused"].items():
        told = (error["class"], error["status"], error["code"], error["param"])
        assert told == _REFUSALS[name], (name, error)
    assert tuple(seen["spoken"]) == FORMATS
    first = seen["made"][0]["id"]
    timbres = set()
    for audio_format, answer in seen["spoken"].items():
        assert answer["headers"]["x-voxgate-voice"] == first
        assert texts(audio(answer), audio_format) == (TEXT,), audio_format
        timbres.add(_timbre(audio(answer), audio_format))
    # What the engine measured of the recording is heard, the same in each format.
    assert len(timbres) == 1
    assert seen["by_name"]["headers"]["x-voxgate-voice"] == first


def _timbre(data: bytes, audio_format: str) -> Timbre:
    heard = decoded(data, audio_format)
    (timbre,) = decode_timbres(heard.samples, heard.sample_rate_hz)
    assert timbre.seconds > 5
    return timbre


def voice_is_deleted_once(visit: Visit) -> None:
    seen = visit.see_owning()
    assert seen["gone"] == {"id": seen["id"], "deleted": True, "object": "audio.voice.deleted"}
    assert (seen["again"]["class"], seen["again"]["code"]) == ("NotFoundError", "voice_not_found")
    assert seen["consent"]
    assert (seen["spoken"]["class"], seen["spoken"]["code"]) == ("BadRequestError", "voice_not_found")


def consents_live_and_page(visit: Visit) -> None:
    seen = visit.see_owning()
    made: dict[str, Any] = seen["made"]
    assert made["object"] == "audio.voice_consent"
    assert made["id"].startswith("cons_")
    assert (made["name"], made["language"]) == ("Ana", "en-US")
    assert len(seen["ids"]) == len(set(seen["ids"])) == 45
    assert seen["ids"][0] == made["id"]
    assert seen["pages"] == 3
    assert (seen["unknown_after"]["class"], seen["unknown_after"]["param"]) == ("BadRequestError", "after")
    assert (seen["renamed"]["id"], seen["renamed"]["name"]) == (made["id"], "new name")
    # Meanwhile its words may have been heard.
    heard = {name: seen["found"][name] for name in ("words", "words_checked")}
    assert seen["found"] == {**seen["renamed"], **heard}
    assert seen["deleted"] == {"id": made["id"], "deleted": True, "object": "audio.voice_consent"}
    assert (seen["again"]["class"], seen["again"]["code"]) == ("NotFoundError", "consent_not_found")
