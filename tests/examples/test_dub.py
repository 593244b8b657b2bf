"""examples/dub: the same program, with two languages of a short video."""

import runpy
from pathlib import Path

import pytest

from tests.examples.conftest import ROOT
from tests.features.dubs.rig import SRT, original_of, sound_of
from tests.server import Server

pytestmark = pytest.mark.slow


def test_each_language_becomes_a_track_as_long_as_the_video(
    tones: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VOXGATE_URL", f"{tones.url}/v1")
    monkeypatch.setenv("VOXGATE_KEY", tones.key)
    Path("sound.flac").write_bytes(original_of(8.0))
    late = SRT.replace("Two.", "Two, and a text that is much too long for the time of its cue, by far.")
    texts = {"video.en.srt": SRT.replace("Two.", "Zwo."), "video.pt-BR.srt": late.replace("05,000", "04,000")}
    for name, text in texts.items():
        Path(name).write_text(text)
    command = ["dub.py", "sound.flac", *texts, "--cast", "Ana=nova", "Ben=onyx"]
    monkeypatch.setattr("sys.argv", command)
    printed = []
    for _ in range(2):
        runpy.run_path(str(ROOT / "examples" / "dub" / "dub.py"), run_name="__main__")
        printed.append(capsys.readouterr())
    assert printed[0].out == printed[1].out, "the second run has not found the jobs of the first"
    assert "video.pt-BR.srt: cue 3 is " in printed[0].err
    assert "video.en.srt" not in printed[0].err
    for name in texts:
        sound, rate_hz = sound_of(Path(name).with_suffix(".flac").read_bytes())
        assert len(sound) == 8 * rate_hz
    assert printed[0].out.startswith("video.en.flac: ")
    changed, track = Path("video.en.srt"), Path("video.en.flac")
    before = track.read_bytes()
    changed.write_text(changed.read_text().replace("One.", "Another one."))
    runpy.run_path(str(ROOT / "examples" / "dub" / "dub.py"), run_name="__main__")
    assert track.read_bytes() != before, "the changed text is spoken"
