"""The answer to a score: same, other, or nobody knows."""

from policies.sample_quality import Rating
from proxy.features.consents.rules import judge_speakers
from speech_engine import SpeakerScale
from tests.tables import each_row

SCALE = SpeakerScale(same=0.85, other=0.70)


@each_row(
    ("score", "ratings", "answer"),
    [
        (0.85, ("high", "medium"), "same"),
        (0.849, ("high", "high"), "unsure"),
        (0.70, ("high", "high"), "unsure"),
        (0.699, ("medium", "medium"), "other"),
        (0.99, ("low", "high"), "unsure"),
        (0.10, ("high", "low"), "unsure"),
    ],
)
def test_a_score_is_read_by_the_scale_and_never_of_a_bad_recording(
    score: float, ratings: tuple[Rating, ...], answer: str
) -> None:
    assert judge_speakers(score, SCALE, ratings) == answer
