"""Train: sentences are read and judged, a model is learned of them, and it is taken home and spoken with."""

from pathlib import Path
from typing import NamedTuple

import pytest

from plugins.tone.voice_format import read_voice
from proxy.audio.formats import wav_header
from tests import speech_clips
from tests.features.console.console_page import ALL_LOOKS, LOOKS, Reader
from tests.features.console.test_frame import follow
from tests.features.jobs.conversions.rig import said
from tests.server import MintedKey, Server
from tests.tables import soak
from tests.waiting import until

pytestmark = pytest.mark.slow_but("test_no_voice_may_be_trained_yet")

_NAME = "<img src=x> \u202eanA " + "w" * 70
_ROOT = "/v1/audio/voices"
_TOLD = """
void (window.told = [], window.Notification = class extends EventTarget {
  static permission = 'granted';
  constructor(text) { super(); told.push(text); }
})
"""
"""A browser without a screen shows nothing."""


class Recorded(NamedTuple):
    """A voice with nineteen recordings, and a key of its account."""

    key: MintedKey
    voice: str


def _clip(number: int, seconds: float = 3.6) -> bytes:
    """Return a recording of speech, and some samples more: no two are the same."""
    wav = speech_clips.wav()
    rate_hz = int.from_bytes(wav[24:28], "little")
    data = wav[44 : 44 + 2 * (int(seconds * rate_hz) + number)]
    return wav_header(len(data) // 2, rate_hz) + data


def _voice(server: Server, key: MintedKey, name: str, read: int = 0, others: int = 0) -> str:
    """Make a voice with recordings of so many sentences, and of other words."""
    with server.client(key.secret, timeout=60.0) as client:
        agreed = {"name": "Ana", "language": "en", "statement": "Ana agreed.", "uses": ["speech", "training"]}
        consent = client.post("/v1/audio/voice_consents", json=agreed).raise_for_status().json()["id"]
        sent = {"name": name, "consent": consent, "language": "en"}
        made = client.post(_ROOT, data=sent, files={"audio_sample": speech_clips.wav()})
        voice: str = made.raise_for_status().json()["id"]
        prompts = client.get("/v1/audio/voice_prompts").raise_for_status().json()["data"]
        for number, text in enumerate([*(each["text"] for each in prompts[:read]), *[""] * others]):
            fields, files = {"emotion": "neutral", "ref_text": text}, {"file": _clip(number)}
            client.post(f"{_ROOT}/{voice}/samples", data=fields, files=files).raise_for_status()
    return voice


@pytest.fixture(scope="module")
def recorded(server: Server) -> Recorded:
    key = server.mint_key("recorded", plan="sold")
    return Recorded(key, _voice(server, key, _NAME, read=16, others=2))


def _read(reader: Reader, folder: Path, number: int) -> None:
    """Read a sentence: its recording comes as a file."""
    reader.wait(f"at('#train-number')?.textContent === 'Sentence {number} of 25'")
    file = folder / f"{number}.wav"
    file.write_bytes(_clip(40 + number, 5.0))
    reader.file("#train-file-file", file)


@pytest.mark.parametrize("looks", [LOOKS, *soak((ALL_LOOKS,))])
def test_twenty_recordings_become_a_model(
    reader: Reader, recorded: Recorded, looks: tuple[tuple[int, str], ...], tmp_path: Path
) -> None:
    reader = reader._replace(key=recorded.key)
    reader.open("train")
    reader.press(f"Train {_NAME}")
    # It goes on where it was left.
    _read(reader, tmp_path, 17)
    reader.reads("Sentence 17 is kept: medium quality.", "#train-judged")
    assert reader.tab.run("document.activeElement.id") == "train-file"
    reader.reads("20 of 20 recordings", "#train-count")
    reader.reads("20 credits", "#train-price")
    reader.tab.run("at('#train-list summary').click()")
    reader.assert_readable(looks[:1])
    reader.press("Begin the training")
    reader.wait(
        "at('#train-stage')?.textContent === 'Learning the voice'"
        " && at('#train-left')?.innerText.includes('about')"
        " && document.title.match(/^[0-9]+ % · Train <img src=x>/)"
    )
    # It goes on without the page, and the tab tells its end.
    reader.tab.run(_TOLD)
    reader.go("jobs")
    reader.wait("document.title.includes('is trained') && told.length === 1")
    reader.go(f"train/{recorded.voice}")
    reader.wait("button('Download TONE') && button('Download ONNX')")
    saved = reader.tab.downloaded(tmp_path, "button('Download TONE').click()")
    assert read_voice(saved).step > 0
    assert reader.tab.downloaded(tmp_path, "button('Download ONNX').click()").startswith(b"tone as onnx")
    reader.assert_readable(looks[1:])
    reader.press("Speak with it")
    reader.wait("location.hash === '#/speak' && at('#speak-voice')?.textContent.includes('<img src=x>')")


def test_a_training_is_cancelled(reader: Reader, recorded: Recorded) -> None:
    reader = reader._replace(key=recorded.key)
    with reader.server.client(recorded.key.secret) as client:
        left = client.get("/v1/me").raise_for_status().json()["credits"]["available"]
        count = len(client.get(f"{_ROOT}/{recorded.voice}/samples").raise_for_status().json()["data"])
        if count < 20:
            fields, files = {"emotion": "neutral"}, {"file": _clip(99)}
            client.post(f"{_ROOT}/{recorded.voice}/samples", data=fields, files=files).raise_for_status()
    reader.open(f"train/{recorded.voice}")
    reader.press("Begin the training")
    # The price is held while it lasts.
    with reader.server.client(recorded.key.secret) as client:
        until(lambda: client.get("/v1/me").json()["credits"]["available"] == left - 20)
    # Another reader watches none of it.
    ends = "performance.getEntriesByType('resource').filter(({ name }) => name.endsWith('/events')).length"
    assert reader.tab.run(ends) == 0
    follow(reader, reader.server.mint_key("another", plan="sold").secret)
    reader.press("Use the link's key")
    reader.wait(f"{ends} === 1")
    follow(reader, recorded.key.secret)
    reader.press("Use the link's key")
    reader.wait("at('#train-job')")
    reader.press("Cancel", "at('#train-job')")
    reader.press("Cancel", "at('#question')")
    reader.reads("Cancelled", "#train-job")
    assert reader.tab.run("document.activeElement.tagName") == "H1"
    reader.wait("at('#train-go') && !at('#train-go').disabled")


def test_a_sentence_that_is_read_again_without_a_place_left(
    reader: Reader, recorded: Recorded, tmp_path: Path
) -> None:
    reader = reader._replace(key=recorded.key)
    path = f"{_ROOT}/{recorded.voice}/samples"
    with reader.server.client(recorded.key.secret) as client:
        count = len(client.get(path).raise_for_status().json()["data"])
        for number in range(count, 25):
            files = {"file": _clip(100 + number)}
            client.post(path, data={"emotion": "neutral"}, files=files).raise_for_status()
        reader.open(f"train/{recorded.voice}")
        reader.wait("at('#train-list li .tag')")
        reader.tab.run("(at('#train-list summary').click(), at('#train-list li button').click())")
        reader.hold("/samples")
        silent = tmp_path / "silent.wav"
        silent.write_bytes(wav_header(240_000, 24_000) + bytes(480_000))
        reader.file("#train-file-file", silent)
        reader.press("Send it")
        reader.wait("window.letGo && at('#train-file-recorder').disabled")
        reader.tab.run("letGo()")
        # The earlier one had to go first. The page says so, and shows what there is.
        reader.reads("The earlier recording of sentence 1 is gone", "#train-judged")
        reader.reads("24 of 20 recordings", "#train-count")
        assert reader.tab.run("[at('#train-file-recorder').disabled, document.activeElement.id]") == [
            False,
            "train-file",
        ]
        assert reader.text("#train-file-recorder [role=alert]")
        assert len(client.get(path).raise_for_status().json()["data"]) == 24


@pytest.mark.kit("axe")
def test_no_voice_may_be_trained_yet(reader: Reader) -> None:
    reader.open("train")
    reader.wait("at('#train-none')")
    reader.assert_readable(LOOKS[:1])


@pytest.mark.clock
def test_a_sentence_is_recorded_and_read_once_more(reader: Reader, tmp_path: Path) -> None:
    voice = _voice(reader.server, reader.key, "Ana")

    def samples() -> list[str]:
        with reader.server.client(reader.key.secret) as client:
            rows = client.get(f"{_ROOT}/{voice}/samples").raise_for_status().json()["data"]
        return [each["id"] for each in rows]

    reader.open(f"train/{voice}")
    reader.wait("at('#train-number')?.textContent === 'Sentence 1 of 25'")
    reader.tab.run("at('#train-file').focus()")
    reader.tab.press("Enter")
    reader.reads("seconds: enough", "#train-file-recorder .said")
    reader.tab.press("Enter")
    reader.reads("Sentence 1 is kept", "#train-judged")
    assert reader.tab.run("tracks.every((track) => track.readyState === 'ended')")
    first, recording = samples()
    reader.tab.run("at('#train-list summary').click()")
    reader.wait("at('#train-list li .tag')")
    reader.tab.run("at('#train-list li button').click()")
    _read(reader, tmp_path, 1)
    reader.wait("at('#train-number').textContent === 'Sentence 2 of 25'")
    kept = samples()
    assert kept[:1] == [first]
    assert len(kept) == 2
    assert recording not in kept


def test_a_long_recording_is_cut_after_its_price_was_told(
    reader: Reader, server: Server, tmp_path: Path
) -> None:
    key = server.mint_key("cutter", plan="heard")
    voice = _voice(server, key, "Ana")
    reader = reader._replace(key=key)
    reader.open(f"train/{voice}")
    reader.wait("at('#train-cut-go')?.disabled")
    file = tmp_path / "reading.wav"
    pcm = said([f"Line {number}. " + "One and two. " * 19 for number in range(17)], pause_s=2.0)
    file.write_bytes(wav_header(len(pcm) // 2) + pcm)
    reader.file("#cut-file-file", file)
    reader.reads("credits", "#train-cut-price")
    reader.assert_readable(LOOKS[:1])
    reader.press("Cut it")
    reader.reads("17 clips for a training; 0 were left out.", "#train-cut-done")
    reader.reads("18 of 20 recordings", "#train-count")
    reader.go(f"voices/{voice}")
    reader.reads("17 clips for trainings", "#voice-samples")
