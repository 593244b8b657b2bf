"""One loudness for all voices of an answer, from the first that is ever heard of them."""

import pytest

from plugins.tone.frames import SYMBOL_S, frame_symbols
from tests.proxy.speech.relay.ears import CONFIG, DIALOGUE, ask, heard, loudness, turns
from tests.server import Server, running
from tests.sound import decoded

pytestmark = pytest.mark.slow


def test_the_first_words_that_were_ever_heard_of_a_voice_are_at_its_level_too(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    with running(tmp_path_factory.mktemp("fresh"), CONFIG) as server:
        answers = [ask(server, DIALOGUE, response_format="pcm").content for _ in range(3)]
    measured = [
        [loudness(turn, 24_000) for turn in turns(decoded(answer, "pcm").samples, 24_000)]
        for answer in answers
    ]
    assert all(max(levels) - min(levels) < 1.0 for levels in measured)
    # What was learned is kept: the same words are exactly as loud from then on.
    assert measured[1] == pytest.approx(measured[2], abs=0.05)
    assert measured[0] == pytest.approx(measured[1], abs=0.5)


def test_a_voice_that_is_no_faster_than_its_listener_is_measured_by_its_first_second(server: Server) -> None:
    said = "I am in no hurry at all."
    cast = {"Sam": "sam", "Ana": "ana"}
    answer = ask(server, f"[Sam] {said} [Ana] {said}", voice={"cast": cast}, response_format="pcm")
    assert heard(answer.content, "pcm") == [("slow-sam", said), ("ana", said)]
    sound = decoded(answer.content, "pcm").samples
    cut = round(len(frame_symbols(f"slow-sam:{said}")) * SYMBOL_S * 24_000)
    assert loudness(sound[:cut], 24_000) == pytest.approx(loudness(sound[cut:], 24_000), abs=1.0)


def test_without_levelling_they_would_be_far_apart(server: Server) -> None:
    """The test's own ears: the engines do differ by as much as the configuration says."""
    alone = {
        name: decoded(
            ask(
                server, "[Ana] This is how loud I am when I speak alone.", voice=name, response_format="pcm"
            ).content,
            "pcm",
        )
        for name in ("ana", "olga")
    }
    levels = {name: loudness(sound.samples, 24_000) for name, sound in alone.items()}
    assert levels["olga"] - levels["ana"] == pytest.approx(20, abs=1.5)
