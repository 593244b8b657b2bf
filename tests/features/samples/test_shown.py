"""Who may hear which sample: without a key, those of the front alone."""

from pathlib import Path
from typing import Literal

from proxy.features.samples.folder import MeasuredSample, SampleFolder, StoredSample
from proxy.features.samples.shown import ShownSamples


def sample(digest: str, kind: Literal["voice", "long"]) -> StoredSample:
    record = MeasuredSample(
        digest=digest,
        engine="one",
        voice="af_heart",
        language="en",
        kind=kind,
        text="Hello.",
        gender=None,
        pitch_hz=None,
        words_a_minute=None,
    )
    return StoredSample(record, b"sound")


def test_a_stranger_hears_the_samples_of_the_front_alone(tmp_path: Path) -> None:
    folder = SampleFolder(tmp_path)
    for kept in (sample("aa", "voice"), sample("bb", "long")):
        folder.store_sample(kept)
    shown = ShownSamples(folder)
    found = {
        (digest, sees_all): shown.find_sample(digest, sees_all=sees_all) is not None
        for digest in ("aa", "bb", "cc")
        for sees_all in (False, True)
    }
    heard = {each for each, is_found in found.items() if is_found}
    assert heard == {("aa", True), ("bb", False), ("bb", True)}
