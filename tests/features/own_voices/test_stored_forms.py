"""What rows of older servers have: digests of requests, and the texts in seals."""

import msgspec
import pytest

from proxy.catalogue.voice_records import VoiceRecord, VoiceTexts
from proxy.features.own_voices.bodies import DescribedVoice, NewVoice, VoiceForm
from proxy.features.own_voices.editing import DIGESTED, digest_of
from tests.tables import each_row

_DESCRIBED = {
    "description": "two",
    "tags": ["warm"],
    "labels": {"use": "news"},
    "language": "pt-BR",
    "gender": "female",
}
_CAST = {"name": "talk", "cast": {"Ana": "nova", "Ben": "onyx"}, "type": "cast", **_DESCRIBED}
_MIX = {"name": "both", "mix": [{"id": "nova", "weight": 2.0}, {"id": "onyx", "weight": 1.0}]}
_FORM = {
    "name": "Ana",
    "consent": "cons_1",
    "type": "audio_sample",
    "ref_text": "Good morning.",
    "engines": ["elevenlabs"],
    **_DESCRIBED,
}


@pytest.mark.unit
@each_row(
    ("type_", "sent", "audio", "digest"),
    [
        (NewVoice, _CAST, b"", "064546dbc58e07140b408384970149d037cb428c58a3aebadcfde506a65f199b"),
        (NewVoice, _MIX, b"", "743d9d33adb5b63612529310227cf9644bb8dd2c37222225cd3619108230e448"),
        (VoiceForm, _FORM, b"RIFF", "7fa76e86326792820b2984e205e5a88b955de7221723d022377f3d7b8af0df0b"),
        (
            VoiceForm,
            {"name": "Ana"},
            b"",
            "fe3bec0d55a86e4351ccf752969bcbb2f25a59a3852ab78fb230f621d6810e93",
        ),
    ],
)
def test_a_request_has_the_digest_that_it_always_had(
    type_: type[NewVoice | VoiceForm], sent: object, audio: bytes, digest: str
) -> None:
    assert digest_of(msgspec.convert(sent, type_), audio).hex() == digest


@pytest.mark.unit
@pytest.mark.parametrize("type_", DIGESTED)
def test_every_field_is_digested(type_: type[DescribedVoice]) -> None:
    assert sorted(DIGESTED[type_]) == sorted(type_.__struct_fields__)


@pytest.mark.unit
def test_the_texts_in_a_seal_are_written_as_before() -> None:
    record = VoiceRecord(
        id="voice_1",
        account="acc_1",
        name="Ana",
        kind="sample",
        revision=1,
        created=1,
        tags=("warm",),
        labels={"use": "news"},
        texts=("Good morning.",),
        request="ab",
    )
    sealed = VoiceTexts(**{name: getattr(record, name) for name in VoiceTexts.__struct_fields__})
    assert msgspec.json.encode(sealed) == (
        b'{"name":"Ana","description":"","tags":["warm"],"labels":{"use":"news"},'
        b'"texts":["Good morning."],"request":"ab"}'
    )
