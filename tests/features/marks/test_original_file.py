"""A provider's own file, which is made again from the answer's."""

from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.audio.formats import OutputForm
from proxy.audio.frames_mp3 import Original, SkippedBytes
from proxy.features.marks.original_file import OriginalFile
from proxy.features.marks.provenance_observer import PlannedFacts, _SignedFileObserver
from proxy.speech.answer_file import AnswerFile
from proxy.speech.attempt import Attempt
from tests.proxy.api.scripted import RATE_HZ
from tests.proxy.speech.test_filtered_speech import SilentSpeech
from tests.proxy.speech.test_text_preparation import call


class InPieces:
    """A file that comes in pieces of this size."""

    def __init__(self, data: bytes, piece_bytes: int) -> None:
        self._data = data
        self._piece_bytes = piece_bytes

    @property
    def size(self) -> int:
        return len(self._data)

    async def pieces(self) -> AsyncIterator[bytes]:
        for at in range(0, self.size, self._piece_bytes):
            yield self._data[at : at + self._piece_bytes]


PARTS = st.lists(st.tuples(st.binary(max_size=3), st.binary(min_size=1, max_size=9)), min_size=1, max_size=6)


@given(PARTS, st.binary(max_size=3), st.integers(1, 12))
async def test_an_original_has_all_that_was_taken_out_in_its_place(
    parts: list[tuple[bytes, bytes]], end: bytes, piece_bytes: int
) -> None:
    """Each part is something that is taken out, and the sound behind it."""
    taken_out, sound, whole = [], b"", b""
    for data, behind in parts:
        taken_out.append(SkippedBytes(len(sound), data))
        sound += behind
        whole += data + behind
    taken_out.append(SkippedBytes(len(sound), end))
    file = OriginalFile(InPieces(sound, piece_bytes), Original(len(sound), tuple(taken_out)))
    assert b"".join([piece async for piece in file.pieces()]) == whole + end
    assert file.size == len(whole + end)


class Output(NamedTuple):
    """What an attempt has come to: a signed file, with so many bytes of sound."""

    original: Original
    has_manifest: bool = True
    seconds: float = 1.0
    units: None = None


class NineBytes:
    size = 9

    async def read(self, offset: int, count: int) -> bytes:
        return bytes(self.size)[offset : offset + count]


@pytest.mark.parametrize(("sound_bytes", "is_parent"), [(9, True), (8, False)])
def test_a_signed_file_whose_sound_is_not_that_of_the_answer_is_no_parent(
    sound_bytes: int, is_parent: bool
) -> None:
    asked, speech = call("Hello.", "plain"), SilentSpeech()
    (candidate,) = asked.plan.parts[0].candidates
    speech.engine = candidate.model.name
    output = Output(Original(sound_bytes, (SkippedBytes(0, b"tag"),)))
    asked.totals.attempts.append(
        Attempt(part=0, model=candidate.model, characters=6, output=output, rate=None, was_dispatched=True)
    )
    nobody: Any = None
    observer = _SignedFileObserver(nobody, nobody, asked, PlannedFacts(asked.plan))
    parent = observer._parent(AnswerFile(NineBytes(), OutputForm("mp3"), RATE_HZ), speech)
    assert (parent is not None) == is_parent
