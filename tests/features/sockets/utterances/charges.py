"""What the pieces of an utterance cost, computed once more from the sound that the client got."""

from collections.abc import Sequence

import pytest

from policies.estimate import speech_seconds
from proxy.storage.usage import UsageRow
from tests.features.sockets.utterances.rig import RATE_HZ

SENTENCE = "This is a sentence of some seventy characters, and no more than that. "
TEXT = SENTENCE * 4
MICRO = 1_000_000


def charge(row: UsageRow, per: str, *, was_submitted: bool, estimated_s: float) -> int:
    """Return what a row costs by the rule: the sound that was sent, by character the whole piece; and where a
    provider bills at once, the estimated length of a piece that it has."""
    if row.outcome == "failed":
        return 0
    at_least = round(estimated_s * RATE_HZ) if was_submitted and row.outcome == "left" else 0
    samples = max(row.samples, at_least)
    if per == "character":
        return row.characters * MICRO if samples else 0
    return -(-samples * MICRO // RATE_HZ)


def check_rows(rows: Sequence[UsageRow], per: str, submitted: int, sentence: str = SENTENCE) -> None:
    """Check the rows of an utterance of equal sentences. A provider that bills at once has the text of the
    first `submitted` pieces."""
    assert len({row.id for row in rows}) == len(rows)
    for number, row in enumerate(rows):
        assert row.outcome in ("finished", "left")
        was_submitted, sentences = number < submitted, row.characters // len(sentence)
        estimated_s = sentences * speech_seconds(sentence.strip(), 1.0)
        expected = charge(row, per, was_submitted=was_submitted, estimated_s=estimated_s)
        if per == "second" and was_submitted and row.outcome == "left":
            # The blanks between two sentences count or not.
            assert row.credits == pytest.approx(expected, abs=MICRO * sentences // 10)
        else:
            assert row.credits == expected
