"""What a comparison of speakers comes to: an answer for the record, and a refusal where one is wanted."""

import msgspec

from policies.sample_quality import Rating, SampleQuality
from proxy.catalogue.voice_records import ComparisonResult
from proxy.config.sections import Config, ConsentSection, PluginSection
from proxy.engines.registry import Registry
from proxy.features.consents.comparison import (
    ComparerFailed,
    RatedRecording,
    SpeakerComparison,
    open_comparison,
)
from speech_engine import SpeakerScale
from tests.proxy.audio.recordings.clips import sine
from tests.proxy.audio.recordings.speech import RATE_HZ, master_of
from tests.proxy.engines import pitch_comparer
from tests.proxy.engines.pitch_comparer import PitchComparer
from tests.tables import each_row

SECTION = ConsentSection("Acme", "pitch", "refuse")


class DirectComparer:
    """The comparer by pitch, without a process."""

    name = "pitch"

    def __init__(self) -> None:
        self.failure = ""

    async def score(self, one: bytes, other: bytes) -> tuple[float, SpeakerScale]:
        if self.failure:
            raise ComparerFailed(self.failure)
        return PitchComparer().compare(one, other), SpeakerScale(0.9, 0.7)


def recording(pitch_hz: float, rating: Rating = "high", seconds: float = 4.0) -> RatedRecording:
    quality = SampleQuality(rating=rating, starts_s=0.0, ends_s=seconds, speech_s=seconds)
    return RatedRecording(master_of(sine(pitch_hz, seconds, RATE_HZ)), quality)


@each_row(
    ("other", "answer", "is_refused"),
    [
        (recording(200), "same", False),
        (recording(250), "unsure", False),
        (recording(400), "other", True),
        (recording(400, "low"), "unsure", False),
    ],
)
async def test_the_answer_is_recorded_with_its_score(
    other: RatedRecording, answer: str, is_refused: bool
) -> None:
    comparison = SpeakerComparison(SECTION, DirectComparer())
    found = await comparison.compare(recording(200), other)
    assert found is not None
    assert (found.answer, found.comparer) == (answer, "pitch")
    assert found.score is not None
    assert comparison.refuses(found) == is_refused


async def test_by_default_nobody_is_refused() -> None:
    comparison = SpeakerComparison(msgspec.structs.replace(SECTION, other_speaker="record"), DirectComparer())
    found = await comparison.compare(recording(200), recording(400))
    assert found == ComparisonResult("other", 0.5, "pitch")
    assert not comparison.refuses(found)


async def test_without_a_comparer_nothing_is_said() -> None:
    comparison = SpeakerComparison(ConsentSection(), None)
    assert await comparison.compare(recording(200), recording(400)) is None
    assert not comparison.refuses(None)


async def test_a_comparer_that_fails_leaves_the_answer_open() -> None:
    comparer = DirectComparer()
    comparer.failure = "it is busy"
    for named in (comparer, None):
        comparison = SpeakerComparison(SECTION, named)
        found = await comparison.compare(recording(200), recording(400))
        assert found == ComparisonResult("unsure", None, "pitch")
        assert not comparison.refuses(found)


async def test_the_configured_comparer_is_opened() -> None:
    (plugin,) = pitch_comparer.voxgate_register()
    registry = Registry({("comparer", "pitch"): plugin}, ())
    async with open_comparison(registry, Config(consent=SECTION)) as comparison:
        found = await comparison.compare(recording(200), recording(200))
        assert found == ComparisonResult("same", 1.0, "pitch")
    broken = Config(
        consent=SECTION, plugins={"comparer": {"pitch": PluginSection(settings={"is_broken": True})}}
    )
    async with open_comparison(registry, broken) as comparison:
        assert await comparison.compare(recording(200), recording(200)) == ComparisonResult(
            "unsure", None, "pitch"
        )
    async with open_comparison(registry, Config()) as comparison:
        assert await comparison.compare(recording(200), recording(200)) is None


def test_what_is_compared_is_not_shown() -> None:
    assert repr(recording(200)) == "<RatedRecording high>"
