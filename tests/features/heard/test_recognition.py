"""What the server's own recognisers hear of a sound whose text is known."""

from pathlib import Path

import pytest

from policies.licence import Licences
from proxy.catalogue.recognition import WINDOW_S, LocalRecognition, MadeSpeech, OwnRecording
from proxy.features.transcriptions.recognition import ModelRecognition
from speech_engine import EngineUnavailable, HearJob, Transcript
from speech_engine.hearing import HEARING_HZ, TranscriptSegment, TranscriptWord
from tests.features.transcriptions import ears as hearing
from tests.features.transcriptions.test_transcriptions import CONFIG
from tests.proxy.api.inside import TONE, inside
from tests.tones import tones


def made(pcm: bytes, text: str, **more: object) -> MadeSpeech:
    language = str(more.pop("language", "en"))
    return MadeSpeech(OwnRecording("", "acc_1", pcm, language), text, **more)  # type: ignore[arg-type]


async def test_tones_are_heard_by_the_ears_of_tones_alone(tmp_path: Path) -> None:
    async with inside(tmp_path, CONFIG) as server:
        local = server.worker.open_features.context.find(ModelRecognition)
        assert local.find_recogniser("en-GB", is_speech=False) == ("tone/ears", 4)
        assert local.find_recogniser("en") is local.find_recogniser("xx", is_speech=False) is None
        pcm = tones("One two four.", HEARING_HZ)
        heard = await local.hear_made(made(pcm, "One two three.", is_speech=False), 9.0, full_window=False)
        assert heard.text == "One two four."
        assert [(word.text, word.logprob > -1) for word in heard.words] == [
            ("One", True),
            ("two", True),
            ("three.", False),
        ]
        with pytest.raises(EngineUnavailable):
            await local.hear_made(made(pcm, "One."), 9.0, full_window=False)
    assert LocalRecognition().find_recogniser("en") is None


WELL = {"hears_well": ("en", "es"), "known_words_late_s": (("en", -0.25),)}


async def test_a_listener_waits_for_a_share_and_a_long_sound_has_no_known_words(tmp_path: Path) -> None:
    words = (TranscriptWord(0.5, 0.6, "Hi.", -0.5, 2),)
    segment = TranscriptSegment(start_s=0.0, end_s=0.1, text=" Hi.", words=words)
    engine = hearing.Ears(*hearing.whole(Transcript((segment,), 1.0)), id="base", scores_text=True, **WELL)
    config = f"{TONE}\n[engines.scripted]\nhosted = false\n"
    async with inside(tmp_path, config, engines={"scripted": engine}) as server:
        local = server.worker.open_features.context.find(ModelRecognition)
        local._licences = Licences()
        assert local.find_recogniser("es-MX") == ("scripted/base", 8)
        assert local.find_recogniser("hi") is None
        short, long = bytes(2 * HEARING_HZ), bytes(round(2 * HEARING_HZ * (WINDOW_S + 1)))
        heard = await local.hear_made(made(short, "Hi.", share=0.25), 9.0, full_window=True)
        assert heard == ("Hi.", (TranscriptWord(0.75, 0.6, "Hi.", -0.5, 2),))
        assert (await local.hear_made(made(long, "Hi.", is_idle=True), 9.0, full_window=False)).words == ()
    first, second = engine.jobs
    assert isinstance(first, HearJob)
    assert (first.texts, first.transcribes, first.full_window, first.urgency) == (
        ("Hi.",),
        True,
        True,
        "live",
    )
    assert first.share == pytest.approx(1 / 3), "a quarter, beside one account that waits"
    assert (second.texts, second.transcribes, second.urgency) == ((), False, "idle")
