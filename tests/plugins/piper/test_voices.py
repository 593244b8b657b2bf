"""Which speaker a voice means: files, and their speakers."""

from pathlib import Path

import pytest

from plugins.piper.voices import VoiceList, read_voices
from speech_engine import EngineFailed, EngineVoice, UnsupportedLanguage, VoiceNotFound
from speech_engine.model_files import UnusableModel
from speech_engine.values import Samples
from tests.plugins.piper import tiny

MUCH = 2**30


def folder(root: Path, name: str, language: str, *speakers: str, rate_hz: int = tiny.RATE_HZ) -> str:
    """A voice as it is stored."""
    voice = tiny.voice(root / name, language=language, speakers=speakers, rate_hz=rate_hz)
    voice.rename(voice.with_name("voice.onnx"))
    voice.with_name("tiny.onnx.json").rename(voice.with_name("voice.json"))
    return str(voice.parent)


@pytest.fixture
def voices(tmp_path: Path) -> VoiceList:
    folders = [
        folder(tmp_path, "amy", "en_US"),
        folder(tmp_path, "bia", "pt_BR", rate_hz=16_000),
        folder(tmp_path, "crew", "en_GB", "ana", "ben", "cem"),
    ]
    return VoiceList(read_voices(folders, MUCH))


def found(voices: VoiceList, id_: str, language: str) -> tuple[str, int]:
    speaker = voices.find(EngineVoice(id_), language)
    return speaker.voice.name, speaker.number


def test_clients_see_files_and_their_speakers_with_their_languages(voices: VoiceList) -> None:
    assert [(info.id, info.language) for info in voices.infos()] == [
        ("amy", "en-US"),
        ("bia", "pt-BR"),
        ("crew:ana", "en-GB"),
        ("crew:ben", "en-GB"),
        ("crew:cem", "en-GB"),
    ]
    assert voices.unlisted() == ("crew",)


def test_the_model_speaks_every_language_of_its_voices_at_the_best_rate(voices: VoiceList) -> None:
    model = voices.model()
    assert [language.tag for language in model.languages] == ["en-US", "pt-BR", "en-GB", "en", "pt"]
    assert model.sample_rate_hz == tiny.RATE_HZ


def test_a_name_of_a_file_or_a_speaker_means_just_this(voices: VoiceList) -> None:
    assert found(voices, "crew:ben", "en-GB") == ("crew", 1)
    assert found(voices, "crew", "en") == ("crew", 0)
    assert found(voices, "amy", "en-NG") == ("amy", 0)


@pytest.mark.parametrize("id_", ["nobody", "", "crew:dan", "amy:0", "amy:up2.6", "alloy", "../amy"])
def test_an_unknown_voice_is_not_found(voices: VoiceList, id_: str) -> None:
    with pytest.raises(VoiceNotFound):
        voices.find(EngineVoice(id_), "en")


def test_a_recording_is_no_voice_of_its_own(voices: VoiceList) -> None:
    with pytest.raises(VoiceNotFound):
        voices.find(Samples(()), "en")


@pytest.mark.parametrize(("id_", "language"), [("amy", "pt"), ("crew:ana", "fr"), ("bia", "th")])
def test_a_language_that_a_voice_does_not_speak_is_refused_by_name(
    voices: VoiceList, id_: str, language: str
) -> None:
    with pytest.raises(UnsupportedLanguage, match=language):
        voices.find(EngineVoice(id_), language)


def test_a_file_with_a_thousand_speakers_is_no_list_of_a_thousand(tmp_path: Path) -> None:
    names = [f"p{number}" for number in range(1000)]
    voices = VoiceList(read_voices([folder(tmp_path, "many", "en_US", *names)], MUCH))
    assert len(voices.infos()) == 32
    assert found(voices, "many:p999", "en") == ("many", 999)
    assert "many:p999" in voices.unlisted()


def test_a_file_that_was_spoilt_later_is_not_loaded(tmp_path: Path) -> None:
    path = folder(tmp_path, "amy", "en_US")
    (Path(path) / "voice.onnx").write_bytes(b"spoilt")
    with pytest.raises(UnusableModel, match=r"voice\.onnx"):
        read_voices([path], MUCH)


def test_a_voice_for_which_there_is_never_room_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(EngineFailed, match="voices_mb is too small for amy"):
        read_voices([folder(tmp_path, "amy", "en_US")], 100)
