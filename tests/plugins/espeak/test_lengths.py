"""What the library writes out itself, as numbers and signs, is spoken no longer than is expected."""

import pytest

from policies import estimate
from speech_engine import Engine, UnsupportedText
from tests.plugins.espeak.heard import hear, said

pytestmark = pytest.mark.slow

LONGEST = ("lt", "fi", "hu", "hi", "de", "tr")
"""Of the languages whose numbers no front-end of ours writes out, those that take longest for them."""
NUMBERS = (
    "9876543 8765432 7654321 6543219",
    "777.777.777.777 777,777,777,777",
    "1987 1777 1888, 27.07.1977 17:27:37",
    "0049 170 7777777",
    "1234567890 1234567890",
)
SIGNS = ("© " * 30, "® " * 30, "/ " * 30, "\u2168 " * 20, "\u210b" * 20, "\u203c " * 20)


@pytest.mark.parametrize("language", LONGEST)
async def test_numbers_and_signs_end_before_their_cap(engine: Engine, language: str) -> None:
    for text in (*NUMBERS, *SIGNS):
        try:
            heard = await hear(engine, said(text, language=language))
        except UnsupportedText:
            continue  # a sign without a name in this language
        # Without the floor of the cap, which would hide what a longer text does.
        assert heard.duration_s < estimate.CAP_FACTOR * estimate.speech_seconds(text, 1.0), text
